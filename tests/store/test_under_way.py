"""The loads under way, sampled: what they tell, and how little is asked of a server with many names."""

from __future__ import annotations

from typing import Any

import pytest

import qwf_async
from qwf_async import sources
from qwf_async.events import LoadSampled
from qwf_async.store import under_way
from qwf_async.store.under_way import UnderWay
from tests.conftest import Server
from tests.support.loads import Enough, ask, enough, wave, when_stored

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

PSI = wave(4, 10, 11, 12)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_way, "PAUSE", 0)


def calls(server: Server) -> dict[str, int]:
    """How often each command was called since the statistics were reset."""
    stats: dict[str, Any] = ask(server, "INFO", "commandstats")
    ask(server, "CONFIG", "RESETSTAT")
    return {name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()}


async def test_a_load_is_told_while_it_runs_and_gone_when_it_is_published(server: Server) -> None:
    async with qwf_async.connect(server.url) as store, qwf_async.connect(server.url) as other:
        loads = UnderWay(other.pool, "qwf")
        assert await loads.sample() == ()
        with pytest.raises(Enough):
            await qwf_async.ingest(sources.array(PSI), store, "psi", hooks=(when_stored(2000, enough),))
        (left,) = await loads.sample()
        assert (left.name, left.points, left.held, left.rate) == ("psi", PSI.size, False, None)
        assert 0 < left.done < 1
        assert left.age > 0
        await qwf_async.ingest(sources.array(PSI), store, "psi", resume=True)
        assert await loads.sample() == ()


async def test_the_rate_is_that_of_the_last_seconds(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[LoadSampled] = []
    async with qwf_async.connect(server.url) as store:
        loads = UnderWay(store.pool, "qwf")
        for time, points in ((100.0, 1000), (102.0, 2000), (104.0, 3000), (150.0, 4000)):
            with pytest.raises(Enough):
                await qwf_async.ingest(
                    sources.array(PSI), store, "psi", resume=True, hooks=(when_stored(points, enough),)
                )
            monkeypatch.setattr(under_way, "now", lambda time=time: time)
            seen += await loads.sample()
    done = [sample.done * PSI.size for sample in seen]
    assert done == sorted(done)
    assert done[0] < done[-1]
    assert [sample.rate for sample in seen] == [
        None,
        pytest.approx((done[1] - done[0]) / 2),
        pytest.approx((done[2] - done[0]) / 4),
        pytest.approx((done[3] - done[2]) / 46),
    ]


async def test_many_names_are_looked_at_once(own_server: Server) -> None:
    names = {f"run{number}": "0123456789abcdef" for number in range(2500)}
    with own_server.plain as client:
        client.hset("qwf:names", mapping=names | {"no name!": ""})
    async with qwf_async.connect(own_server.url) as store:
        with pytest.raises(Enough):
            await qwf_async.ingest(sources.array(PSI), store, "psi", hooks=(when_stored(2000, enough),))
        loads = UnderWay(store.pool, "qwf")
        calls(own_server)
        assert [load.name for load in await loads.sample()] == ["psi"]
        first = calls(own_server)
        assert [load.name for load in await loads.sample()] == ["psi"]
        second = calls(own_server)
    assert first["exists"] == 2501
    assert "exists" not in second
    assert (second["hgetall"], second["eval_ro"]) == (3, 1)  # the index; meta and load in a script
    assert sum(second.values()) < 20


async def test_what_took_long_is_not_asked_again_at_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_way, "PAUSE", 20)
    times = iter([0.0, 3.0, 5.0, 62.9, 63.1, 64.0])
    monkeypatch.setattr(under_way, "now", lambda: next(times))
    ask(server, "CONFIG", "RESETSTAT")
    async with qwf_async.connect(server.url) as store:
        loads = UnderWay(store.pool, "qwf")
        for _ in range(3):
            await loads.sample()
        assert calls(server)["hgetall"] == 1
        await loads.sample()
        assert calls(server)["hgetall"] == 1
