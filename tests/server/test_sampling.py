"""Samples of a real server: one exchange each, what is new in them, and what a server forbids."""

from __future__ import annotations

import pytest

from qwf_async.client.pool import Pool
from qwf_async.errors import ServerUnavailable
from qwf_async.events import Noted, ServerSampled
from qwf_async.ingesting.spool_watch import SpoolWatch
from qwf_async.ingesting.store_sampler import StoreSampler
from qwf_async.server.sampling import SETTINGS_EVERY, Sampler
from tests.conftest import Server, open_pool
from tests.server.test_acl import denials, give_user, store_of
from tests.support.loads import Events, ask

pytestmark = pytest.mark.anyio


def sampler_of(pool: Pool) -> Sampler:
    return Sampler(pool, pool.nodes[0])


async def test_a_sample_tells_what_came_since_the_last(each_own_server: Server) -> None:
    ask(each_own_server, "CONFIG", "SET", "slowlog-log-slower-than", 0)
    ask(each_own_server, "SET", "secret-key", "secret-value")
    async with open_pool(each_own_server) as pool:
        sampler = sampler_of(pool)
        first = await sampler.sample()
        ask(each_own_server, "GET", "secret-key")
        ask(each_own_server, "GET", "nothing")
        ask(each_own_server, "SET", "short", "x", "PX", 1)
        second = await sampler.sample()
    assert first.recent is None
    assert first.slow_log
    assert any((entry.command, entry.arguments, entry.nbytes) == ("SET", 2, 22) for entry in first.slow_log)
    assert second.recent
    assert (second.recent.hits, second.recent.misses, second.recent.hit_rate) == (1, 1, 0.5)
    assert second.recent.seconds > 0
    assert second.slow_log
    assert first.slow_log[0].number < second.slow_log[-1].number
    assert [entry.command for entry in second.slow_log].count("GET") == 2
    assert second.slow_commands == second.slow_log[0].number + 1
    assert "secret" not in repr((first, second))
    assert None not in (second.peak, second.rss, second.fragmentation, second.last_save, second.output_bytes)
    assert second.last_save_ok is second.aof_write_ok is True
    assert second.aof is False


async def test_settings_are_read_with_every_tenth_sample_alone(own_server: Server) -> None:
    async with open_pool(own_server) as pool:
        sampler = sampler_of(pool)
        ask(own_server, "CONFIG", "RESETSTAT")
        samples = [await sampler.sample() for _ in range(SETTINGS_EVERY)]
        stats = ask(own_server, "INFO", "commandstats")
        ask(own_server, "CONFIG", "SET", "maxclients", 123)
        assert (await sampler.sample()).max_clients == 123
    assert all(sample.settings == samples[0].settings for sample in samples)
    calls = {name: each["calls"] for name, each in stats.items()}
    assert calls["cmdstat_config|get"] == 1
    assert calls["cmdstat_info"] == calls["cmdstat_slowlog|get"] == SETTINGS_EVERY


async def test_after_a_restart_everything_is_new(own_server: Server) -> None:
    async with open_pool(own_server) as pool:
        sampler = sampler_of(pool)
        await sampler.sample()
        own_server.kill()
        own_server.start()
        ask(own_server, "CONFIG", "SET", "slowlog-log-slower-than", 0, "maxclients", 99)
        with pytest.raises(ServerUnavailable):  # over the connection that is lost
            await sampler.sample()
        again = await sampler.sample()
        assert again.recent is None
        assert again.slow_log
        assert (await sampler.sample()).max_clients == 99


async def test_what_a_server_forbids_is_unknown_and_said_once(each_own_server: Server) -> None:
    give_user(each_own_server, "qwf", "-info")
    events = Events()
    async with store_of(each_own_server, "qwf") as store:
        ask(each_own_server, "ACL", "LOG", "RESET")
        sampler = StoreSampler(store, SpoolWatch(store, events), events)
        samples = [await sampler.sample() for _ in range(3)]
    for sample in samples:
        (facts,) = sample.facts
        assert facts.forbidden == ("CONFIG", "INFO", "SLOWLOG")
        assert (facts.used, facts.slow_log, facts.slow_commands, facts.settings) == (None,) * 4
        assert sample.loads == ()
    assert [event.text for event in events.all if isinstance(event, Noted)] == [
        "the server forbids CONFIG: its settings, and how durable it is, are unknown",
        "the server forbids SLOWLOG: its slow log is not shown",
    ]
    assert denials(each_own_server) == {"info", "config|get", "slowlog|get"}


async def test_with_the_right_to_it_the_slow_log_is_shown(each_own_server: Server) -> None:
    give_user(each_own_server, "qwf", "+slowlog|get")
    events = Events()
    async with store_of(each_own_server, "qwf") as store:
        sample = await StoreSampler(store, SpoolWatch(store, events), events).sample()
    assert isinstance(sample, ServerSampled)
    assert sample.facts[0].slow_log is not None
    assert sample.connections["opened"] == 1
