"""Spools that are watched: what waits in them is counted, and none is opened that a process has open."""

from __future__ import annotations

from contextlib import closing

import pytest

import qwf_async
from qwf_async.events import SpoolSampled
from qwf_async.ingesting.spool_watch import SpoolWatch
from qwf_async.lattice.grid import Grid
from qwf_async.spool import SpoolFile, head_path, spool_path
from tests.conftest import Server
from tests.support.loads import Events
from tests.support.loops import ON_ASYNCIO
from tests.support.spool_processes import GENERATION, LIMIT, head_of, numbered


@pytest.mark.anyio
@ON_ASYNCIO
async def test_what_waits_is_counted_unless_a_process_has_the_spool_open(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        watch = SpoolWatch(store, Events())
        assert await watch.sample() == ()
        path = spool_path(store.settings.spool_directory, GENERATION)
        head = head_of(Grid.cube(64, box=20.0), server=store.pool.address.identity)
        with closing(SpoolFile.create(path, head, limit=LIMIT)) as spool:
            spool.put(map(numbered, range(2)))
            (sample,) = await watch.sample()
            assert sample == SpoolSampled(path=str(path), name="psi", chunks=None, nbytes=sample.nbytes)
        for chunks in (2, 2, 5):
            if chunks == 5:
                with closing(SpoolFile.open(path, limit=LIMIT)) as spool:
                    spool.put(map(numbered, range(2, 5)))
            (sample,) = await watch.sample()
            assert sample.chunks == chunks
            assert sample.nbytes >= path.stat().st_size > 0
        head_path(path).unlink()
        (sample,) = await watch.sample()
        assert (sample.name, sample.chunks) == (None, None)
        assert "head" in sample.problem
