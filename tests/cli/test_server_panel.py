"""The page of `qwf watch`: on terminals of any size nothing is lost of what matters, and what is wrong stands out."""

from __future__ import annotations

from io import StringIO
from typing import Literal

import pytest
from rich.console import Console

from qwf_async.cli.server_lines import news_lines, state_lines
from qwf_async.cli.server_panel import ServerPanel
from qwf_async.events import (
    LoadSampled,
    PrimaryLink,
    Recent,
    ReplicaLink,
    ServerFacts,
    ServerSampled,
    SlowCommand,
    SpoolSampled,
)

AT = 1_700_000_000.0
COUNTS = {
    "opened": 3, "borrowed": 60, "failed": 0, "turned_away": 0, "timeouts": 0, "lost": 2, "checks": 0,
    "success": 1.0, "reuse": 0.95,
}  # fmt: skip
FACTS = ServerFacts(
    where="redis://10.0.0.1:6379", software="valkey", version="9.1.2", role="master", used=900_000_000,
    limit=1_000_000_000, peak=950_000_000, rss=1_000_000_000, fragmentation=1.11, policy="noeviction",
    settings={"appendfsync": "everysec", "appendonly": "yes"}, changes_since_save=12, last_save=int(AT) - 180,
    last_save_ok=True, aof=True, aof_write_ok=True, clients=12, blocked_clients=1, max_clients=10_000, replicas=1,
    replica_links=(ReplicaLink(where="10.0.0.2:6379", state="online", lag_bytes=2000, lag_seconds=1),),
    rejected=3, uptime=11_520, commands=10**6, commands_per_second=1234, input_rate=12_000.0, output_rate=3.2,
    input_bytes=10**9, output_bytes=10**8, hits=99, misses=1, evicted=0, expired=7,
    slow_log=(SlowCommand(number=4, time=AT - 12, seconds=0.035, command="HGETALL", arguments=1, nbytes=12),),
    recent=Recent(seconds=1.0, hits=1, misses=1, evicted=0, expired=2, rejected=0),
)  # fmt: skip
LOADS = (
    LoadSampled(
        name="run", generation="0" * 16, points=10**6, done=0.43, rate=1.2e6, owner="process 7 on lab", held=True,
        age=185.0,
    ),
    LoadSampled(
        name="left", generation="1" * 16, points=10**6, done=0.995, rate=0.0, owner="process 9 on lab", held=False,
        age=7200.0,
    ),
)  # fmt: skip
SPOOLS = (SpoolSampled(path="/home/me/spool/2222222222222222.spool", name="away", chunks=3, nbytes=12_000),)
SAMPLE = ServerSampled(facts=(FACTS,), loads=LOADS, spools=SPOOLS, connections=COUNTS)


def drawn(sample: ServerSampled, width: int = 80, height: int | None = 24, *, colour: bool = False) -> str:
    slow = [(facts.where, command) for facts in sample.facts for command in facts.slow_log or ()]
    notes = [(AT, f"note {number}", "") for number in range(30)]
    panel = ServerPanel(
        sample=sample, watermark=0.85, slow=slow * 20, notes=notes, whole=height is None, at=AT
    )
    system: Literal["standard"] | None = "standard" if colour else None
    console = Console(file=StringIO(), width=width, height=height or 25, color_system=system)
    options = console.options if height is None else console.options.update(height=height)
    with console.capture() as capture:
        console.print(*panel.__rich_console__(console, options))
    return capture.get()


@pytest.mark.parametrize("width", [80, 132, 300])
def test_all_that_is_known_is_on_a_page_of_24_lines(width: int) -> None:
    text = drawn(SAMPLE, width)
    lines = text.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= width
    for known in (
        "10.0.0.1:6379", "valkey 9.1.2", "primary", "up 3 h 12 min", "900 MB of 1.0 GB (90 %)", "peak 950 MB",
        "process 1.0 GB", "fragmentation 1.11", "policy noeviction", "1,234 commands/s", "in 12.0 MB/s (1.0 GB)",
        "out 3.2 kB/s (100 MB)", "hits 50 % now, 99 % in all", "evicted 0", "expired 7 (+2)", "12 of 10,000",
        "blocked 1", "rejected 3", "rdb: 12 changes since the save 3 min ago", "aof: everysec",
        "replica 10.0.0.2:6379 2.0 kB behind, heard of 1 s ago", "3 opened", "reuse 95 %", "lost 2", "43 %",
        "1.2 million points/s", "process 7 on lab", "interrupted", ">99 %", "away: 3 chunks", "12.0 kB",
        "HGETALL", "35 ms", "1 argument, 12 bytes", "12 s ago", "note 0", "more",
    ):  # fmt: skip
        assert known in text, known
    assert "note 29" not in text
    assert "note 29" in drawn(SAMPLE, width, None)


@pytest.mark.parametrize(("width", "height"), [(60, 16), (30, 30), (10, 5), (1, 1), (79, 3)])
def test_small_terminals_get_lines_that_fit(width: int, height: int) -> None:
    lines = drawn(SAMPLE, width, height).splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("redis://10.0.0.1:6379"[: max(1, width - 1)] if width > 1 else "…")


def test_what_is_wrong_stands_out_and_nothing_else() -> None:
    calm = ServerFacts(where="x", used=1, limit=100, policy="noeviction", aof=False, last_save_ok=True)
    assert (
        "\x1b[1;33m"
        not in drawn(ServerSampled(facts=(calm,)), colour=True, height=None).partition("notes")[0]
    )
    shown = drawn(SAMPLE, colour=True)
    assert "\x1b[1;33m900 MB of 1.0 GB (90 %)" in shown
    assert "\x1b[1;33minterrupted" in shown
    assert shown.count("\x1b[1;33m") == 5  # the bar, rejected, lost
    broken = ServerFacts(
        where="x", used=1, limit=100, policy="allkeys-lru", aof=True, aof_write_ok=False, last_save_ok=False,
        primary_link=PrimaryLink(where="10.0.0.1:6379", is_up=False, silent_seconds=12),
    )  # fmt: skip
    shown = drawn(ServerSampled(facts=(broken,)), colour=True)
    for bad in ("policy allkeys-lru", "the last save failed", "the last write failed", "down for 12 s"):
        assert bad in shown
    assert shown.count("\x1b[1;31m") == 4


def test_what_is_unknown_is_called_so() -> None:
    text = drawn(ServerSampled(facts=(ServerFacts(where="x", forbidden=("INFO",)),)))
    assert "unknown server" in text
    assert "no limit" not in text
    assert "0 bytes" not in text
    assert text.count("unknown") > 8
    assert "no answer: 10.0.0.1:6379" in drawn(ServerSampled(facts=(), away=("redis://10.0.0.1:6379",)))
    assert "asking the server" in drawn(ServerSampled(facts=()))


def test_a_cluster_has_a_row_for_each_node_and_one_for_all() -> None:
    nodes = tuple(
        ServerFacts(
            where=f"redis://10.0.0.{number}:7000", software="valkey", version="9.1.2", slots=100, used=10**8,
            limit=10**9, commands_per_second=100, input_rate=1.0, output_rate=2.0, clients=5, rejected=0,
        )
        for number in range(3)
    )  # fmt: skip
    text = drawn(ServerSampled(facts=nodes, away=("redis://10.0.0.9:7000",), loads=LOADS))
    rows = [line for line in text.splitlines() if line.startswith(("all", "10.0.0."))]
    assert [row.split()[0] for row in rows] == ["all", *(f"10.0.0.{n}:7000" for n in (0, 1, 2, 9))]
    assert "300 MB" in rows[0]
    assert "10 %" in rows[0]
    assert "300" in rows[0]
    assert "no answer" in rows[-1]
    assert "no answer: 10.0.0.9:7000" in text


def test_foreign_text_moves_no_cursor() -> None:
    evil = LOADS[0].__class__(
        name="run",
        generation="0" * 16,
        points=1,
        done=0.5,
        rate=1.0,
        owner="\x1b[2J\nhost",
        held=True,
        age=1.0,
    )
    text = drawn(ServerSampled(facts=(FACTS,), loads=(evil,)), colour=False)
    assert "\\x1b[2J\\nhost" in text


def test_lines_for_a_log() -> None:
    lines = list(state_lines(SAMPLE))
    assert lines[0].startswith(
        "server valkey 9.1.2, memory 900 MB of 1.0 GB (90 %), policy noeviction, clients 12,"
    )
    assert lines[1:] == [
        "load run: 43 %, 1.2 million points/s, process 7 on lab, 3 min",
        "load left: >99 %, interrupted, 2 h",
        "spool /home/me/spool/2222222222222222.spool, away: 3 chunks, 12.0 kB",
        "connections: 3 opened, reuse 95 %, success 100 %, lost 2",
    ]
    assert list(news_lines(SAMPLE)) == ["slow: HGETALL took 35 ms"]
