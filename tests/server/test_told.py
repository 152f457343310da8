"""What is read out of INFO and SLOWLOG: replication as servers write it; arguments are counted, never shown."""

from __future__ import annotations

from dataclasses import asdict

from qwf_async.events import PrimaryLink, ReplicaLink, ServerFacts
from qwf_async.server.info import parse_info
from qwf_async.server.sampling import since
from qwf_async.server.slow_log import is_slow_log, slow_commands
from qwf_async.server.told import facts_of

PRIMARY = b"""\
# Replication\r
role:master\r
connected_slaves:3\r
slave0:ip=10.0.0.2,port=6379,state=online,offset=900,lag=1,type=replica\r
slave1:ip=fe80::1,port=6380,state=wait_bgsave,offset=0,lag=0\r
slave2:nonsense\r
master_repl_offset:1000\r
"""
REPLICA = b"""\
role:slave\r
master_host:10.0.0.1\r
master_port:6379\r
master_link_status:%s\r
master_last_io_seconds_ago:%s\r
master_sync_in_progress:0\r
slave_read_repl_offset:120\r
slave_repl_offset:100\r
master_link_down_since_seconds:7\r
"""


def test_replicas_are_told_with_their_lag() -> None:
    facts = facts_of("here", parse_info(PRIMARY), None, ())
    assert facts.replicas == 3
    assert facts.replica_links == (
        ReplicaLink(where="10.0.0.2:6379", state="online", lag_bytes=100, lag_seconds=1),
        ReplicaLink(where="[fe80::1]:6380", state="wait_bgsave", lag_bytes=1000),
        ReplicaLink(where=":", state="unknown"),
    )
    assert facts.primary_link is None


def test_a_replica_tells_of_its_primary() -> None:
    up, down = (
        facts_of("here", parse_info(REPLICA % told), None, ()) for told in ((b"up", b"3"), (b"down", b"-1"))
    )
    link = PrimaryLink(where="10.0.0.1:6379", is_up=True, lag_bytes=20, silent_seconds=3)
    assert up.primary_link == link
    assert down.primary_link == PrimaryLink(
        where="10.0.0.1:6379", is_up=False, lag_bytes=20, silent_seconds=7
    )


def test_a_server_that_says_nothing_is_unknown_and_not_zero() -> None:
    facts = facts_of("here", {}, None, ("INFO",))
    assert facts == ServerFacts(where="here", forbidden=("INFO",))
    assert (facts.hit_rate, facts.fill, facts.durability) == (None, None, "unknown")
    nonsense = {"used_memory": "many", "mem_fragmentation_ratio": "x", "keyspace_hits": "-1"}
    assert facts_of("here", nonsense, None, ()) == ServerFacts(where="here")


def test_what_came_since_the_last_sample() -> None:
    before, after = ServerFacts(hits=10, misses=5, evicted=7), ServerFacts(hits=13, misses=6, evicted=0)
    recent = since(before, after, 2.0)
    assert (recent.hits, recent.misses, recent.hit_rate) == (3, 1, 0.75)
    assert recent.evicted == 0  # after CONFIG RESETSTAT
    assert recent.expired is None


def test_slow_commands_tell_sizes_and_never_values() -> None:
    many = [b"hset", b"secret key", *[b"secret"] * 29, b"... (975 more arguments)"]
    long = [b"SET", b"secret", b"secret" + b"x" * 122 + b"... (1000 more bytes)"]
    reply = [
        [9, 1_700_000_000, 1500, many, b"10.0.0.9:5", b"secret name"],
        [8, 1_700_000_000, 20, long],
        [7, 1_700_000_000, 20, [b"PING"]],
    ]
    assert is_slow_log(reply)
    entries = slow_commands(reply, 7)
    assert [(entry.number, entry.command, entry.arguments, entry.nbytes) for entry in entries] == [
        (9, "HSET", 1005, 10 + 29 * 6),
        (8, "SET", 2, 6 + 128 + 1000),
    ]
    assert entries[0].seconds == 0.0015
    assert "secret" not in str([asdict(entry) for entry in entries]).lower()
    assert len(slow_commands(reply, None)) == 3


def test_what_is_no_slow_log_is_refused() -> None:
    for reply in (None, [1], [[1, 2, 3]], [[1, 2, 3, []]], [[1, 2, 3, ["x"]]], [[1, b"2", 3, [b"x"]]]):
        assert not is_slow_log(reply)
    assert is_slow_log([])
