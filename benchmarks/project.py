"""This project's ways to load the points: the engine alone, and the command as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import anyio

from qwf_async.ingesting.ingestion import ingest
from qwf_async.source import Source, array
from qwf_async.store.connecting import connect

from .cost import Clock, Cost
from .servers import Running
from .workload import Workload

NAME = "bench"


def engine(server: Running, work: Workload, **how: Any) -> Cost:
    """`ingest` in this process, from the array to the published wavefunction; `how` is handed to it."""
    return ingested(server.url, array(work.psi), **how)


def ingested(url: str, source: Source, **how: Any) -> Cost:
    """`ingest` of a source in this process, until it is published."""

    async def load() -> Cost:
        async with connect(url) as store:
            clock = Clock()
            report = await ingest(source, store, NAME, overwrite=True, **how)
            cost = clock.cost()
        assert report.points == source.grid.points, report
        return cost

    return anyio.run(load, backend="asyncio", backend_options={"use_uvloop": True})


def process(server: Running, work: Workload) -> Cost:
    """`python -m qwf_async ingest gaussian` on the same grid, from start to exit.

    Imports and the physics are part of it.
    """
    grid = "x".join(str(size) for size in work.psi.shape[1:])
    command = [sys.executable, "-m", "qwf_async", "ingest", "gaussian", "--grid", grid]
    command += ["--url", server.url, "--json", "--overwrite", "--quiet"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("QWF_", "REDIS_"))}
    clock = Clock()
    done = subprocess.run(command, stdout=subprocess.PIPE, env=clean, check=True)
    cost = clock.cost()
    assert json.loads(done.stdout)["points"] == work.points, done.stdout
    return cost
