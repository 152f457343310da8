"""A scheduler of dask and its workers, in processes of their own: they leave nothing open in that of the tests.

They import this file, in threads, so it imports nothing of the tests.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


@contextmanager
def dask_cluster(workers: int) -> Iterator[str]:
    """A scheduler with so many workers, each a process that comes back when it is killed; its address."""
    command = [sys.executable, "-m", "tests.support.dask_cluster", str(workers)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait()


def made(directory: str, block_info: Any = None) -> Any:
    """A block of ψ, which notes in a file of its own each time that it is computed."""
    start = [first for first, _ in block_info[None]["array-location"]]
    with Path(directory, "-".join(map(str, start))).open("a") as counted:
        counted.write("x")
    numbers = np.random.default_rng(start)
    shape = block_info[None]["chunk-shape"]
    return numbers.normal(size=shape) + 1j * numbers.normal(size=shape)


def awaited(directory: str, block_info: Any = None) -> Any:
    """As `made`, once there is a file `go`."""
    while not Path(directory, "go").exists():
        time.sleep(0.01)
    return made(directory, block_info)


def main(workers: int) -> None:
    """Print the address of a scheduler, and end with standard input."""
    import dask
    import distributed

    # A cluster removes a worker that is away 15 s after it was lost, also if it came back, and was lost again.
    dask.config.set(
        {"distributed.scheduler.allowed-failures": 1000, "distributed.deploy.lost-worker-timeout": "1 hour"}
    )
    with distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        print(cluster.scheduler_address, flush=True)  # noqa: T201 # that is what it is for
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]))
