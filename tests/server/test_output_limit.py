"""Servers that close a connection to which they owe much: smaller pieces are read, or the limit is named."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.errors import ServerUnavailable
from qwf_async.lattice.grid import Box
from qwf_async.layout import LAYOUTS
from qwf_async.server.output_limit import CutOff, output_limit
from tests.conftest import Server, new_server
from tests.support.loads import ask, wave

pytestmark = pytest.mark.anyio
PSI = wave(2, 16, 16, 16)
LIMIT = 40_000
GRAINS = [(1, 1, 1, 1), (1, 8, 8, 8), (1, 5, 3, 7)]


@pytest.fixture(scope="module", params=["valkey", "redis"])
def stingy(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that holds wavefunctions in every layout; each test sets a limit."""
    yield from new_server(request.param, **{"client-output-buffer-limit": "normal 0 0 0"})


def limit(server: Server, size: int) -> None:
    ask(server, "CONFIG", "SET", "client-output-buffer-limit", f"normal {size} 0 0")


async def store_all(server: Server) -> None:
    limit(server, 0)
    ask(server, "FLUSHALL")
    async with qwf_async.connect(server.url) as store:
        for layout in LAYOUTS:
            await qwf_async.ingest(sources.array(PSI), store, layout, layout=layout)
        await qwf_async.ingest(sources.array(PSI), store, "text", layout="flat", codec="text10")


@pytest.mark.parametrize("tells", ["all", "counts", "nothing"])
async def test_everything_is_read_from_a_server_that_limits_its_output(stingy: Server, tells: str) -> None:
    await store_all(stingy)
    limit(stingy, LIMIT)
    ask(stingy, "ACL", "SETUSER", "default", "reset", "on", "nopass", "~*", "&*", "+@all")
    denied = {"all": [], "counts": ["-config"], "nothing": ["-config", "-info"]}[tells]
    ask(stingy, "ACL", "SETUSER", "default", *denied)
    try:
        async with qwf_async.connect(settings=qwf_async.Settings(url=stingy.url, deadline=20)) as store:
            for name in (*LAYOUTS, "text"):
                psi = await store.open(name)
                wanted = PSI.round(10) if name == "text" else PSI
                np.testing.assert_allclose(await psi.read[...], wanted, atol=1e-10 * (name == "text"))
                points = np.argwhere(PSI[1] != np.inf)[::7]
                got = await psi.read_points(np.column_stack((points, np.ones(len(points), int))))
                np.testing.assert_allclose(got, wanted[1][tuple(points.T)], atol=1e-10 * (name == "text"))
            lost = store.pool.counts.lost
            assert 1 <= lost <= 40  # each halves what is asked for, twice if the server does not tell why
            await (await store.open("tile")).read[...]
            assert store.pool.counts.lost == lost  # it is remembered
    finally:
        ask(stingy, "ACL", "SETUSER", "default", "+@all")


async def test_a_tile_that_is_too_large_for_the_limit_is_told_at_once(stingy: Server) -> None:
    limit(stingy, 0)
    ask(stingy, "FLUSHALL")
    settings = qwf_async.Settings(url=stingy.url, deadline=600)
    async with qwf_async.connect(settings=settings) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout="tile", tile=(16, 16, 16))
        limit(stingy, LIMIT)
        psi = await store.open("psi")
        for reading in (psi.read[...], psi.point(1, 2, 3), psi.read_points(np.array([[1, 2, 3, 0]]))):
            with pytest.raises(CutOff, match=r"more than 40,000 bytes \(client-output-buffer-limit normal\)"):
                await reading
        assert await output_limit(store.pool.nodes[0]) == LIMIT
        limit(stingy, 0)
        assert await output_limit(store.pool.nodes[0]) is None


async def test_a_connection_that_breaks_without_a_limit_is_an_outage(own_server: Server) -> None:
    async with qwf_async.connect(settings=qwf_async.Settings(url=own_server.url, deadline=0.2)) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        psi = await store.open("psi")
        own_server.kill()
        with pytest.raises(ServerUnavailable):
            await psi.read[...]
        assert store.pool.reply_bytes == np.inf


@pytest.mark.parametrize("grain", GRAINS)
def test_a_box_is_halved_along_its_grains_until_it_is_one(grain: tuple[int, int, int, int]) -> None:
    whole = Box(start=(0, 2, 3, 5), stop=(2, 14, 17, 20))
    marks = np.zeros((2, 14, 17, 20), int)
    queue, seen = [whole], 0
    while queue:
        box = queue.pop()
        if (halves := box.halves(grain)) is None:
            marks[box.slices] += 1
            seen += 1
            ends = zip(box.start, box.stop, grain, strict=True)
            assert all((stop - 1) // step == start // step for start, stop, step in ends)
            continue
        assert sum(half.points for half in halves[:2]) == box.points
        queue += halves[:2]
    assert (marks[whole.slices] == 1).all()
    assert marks.sum() == whole.points
