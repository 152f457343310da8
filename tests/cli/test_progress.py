"""The lines of progress: each phase has its own rate, and the spool is named while something waits there."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from qwf_async.cli import progress
from qwf_async.events import MemorySampled, Progress, Spooled


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock that the lines read: its one number."""
    now = [100.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_phase_has_its_own_rate(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown_progress(quiet=False) as hook:
        for seconds, points in ((0, 1_000_000), (10, 3_000_000)):
            clock[0] = 100.0 + seconds
            hook(Progress(points=points, total=4_000_000, bytes_sent=60 * points))
        for seconds, points in ((20, 0), (30, 1_000_000)):
            clock[0] = 100.0 + seconds
            hook(Progress(points=points, total=4_000_000, phase="verifying"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "3 million of 4 million points (75 %), 200,000 points/s, 12.0 MB/s, 5.0 s left"
    assert lines[-1] == "verifying: 1 million of 4 million points (25 %), 100,000 points/s, 30 s left"


def test_the_spool_is_named(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown_progress(quiet=False) as hook:
        hook(Progress(points=0, total=100))
        hook(MemorySampled(used=1_900_000_000, limit=None))
        hook(Spooled(where="/data/spool/1.spool", chunks=12, nbytes=3_100_000, replaying=False))
        clock[0] += 10
        hook(Progress(points=50, total=100))
        hook(Spooled(where="/data/spool/1.spool", chunks=1, nbytes=100, replaying=True))
        clock[0] += 10
        hook(Progress(points=60, total=100))
        hook(Spooled(where="/data/spool/1.spool", chunks=0, nbytes=0, replaying=True))
        clock[0] += 10
        hook(Progress(points=70, total=100))
    first, second, third = capsys.readouterr().err.splitlines()
    assert first.endswith("server memory 1.9 GB, 12 chunks (3.1 MB) waiting in the spool /data/spool/1.spool")
    assert second.endswith("1 chunk (100 bytes) being replayed from the spool /data/spool/1.spool")
    assert not re.search("spool", third)
