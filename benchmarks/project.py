"""This project's ways to load the points: the engine alone, and the command as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import anyio

import qwf_async

from .servers import Running
from .workload import Workload

NAME = "bench"


def engine(
    server: Running, work: Workload, *, codec: str = "c16", layout: str = "flat", write_mode: str = "auto"
) -> float:
    """`ingest` in this process, from the array to the published wavefunction; seconds."""

    async def load() -> float:
        async with qwf_async.connect(server.url) as store:
            start = time.perf_counter()
            source = qwf_async.sources.array(work.psi)
            report = await qwf_async.ingest(
                source, store, NAME, layout=layout, codec=codec, write_mode=write_mode, overwrite=True
            )
            seconds = time.perf_counter() - start
        assert report.points == work.points, report
        return seconds

    return anyio.run(load, backend="asyncio", backend_options={"use_uvloop": True})


def process(server: Running, work: Workload) -> float:
    """`python -m qwf_async ingest gaussian` on the same grid, from start to exit; seconds.

    Imports and the physics are part of it.
    """
    grid = "x".join(str(size) for size in work.psi.shape[1:])
    command = [sys.executable, "-m", "qwf_async", "ingest", "gaussian", "--grid", grid]
    command += ["--url", server.url, "--json", "--overwrite", "--quiet"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("QWF_", "REDIS_"))}
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, env=clean, check=True)
    seconds = time.perf_counter() - start
    assert json.loads(done.stdout)["points"] == work.points, done.stdout
    return seconds
