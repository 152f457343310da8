"""The file of a study among processes that are killed, that fork, that are many, and that find the disk full."""

from __future__ import annotations

import os
import random
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from qwf_async.errors import SpoolFull
from qwf_async.study.host_directory import StudyIdentity
from qwf_async.study.host_file import HostFile, OverlayRow
from tests.conftest import PATIENCE

IDENTITY = StudyIdentity(server="unix:///s/0", prefix="qwf", study_id=512, name="a study")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[HostFile]:
    with closing(HostFile.open(tmp_path, IDENTITY)) as opened:
        yield opened


def created(file: HostFile, lane: int, sequence: int) -> int:
    """A new trial, as a job writes it; its number."""
    with file.writing():
        file.open_episode()
        there = [row.number for row in file.news(0) if row.number is not None]
        number = file.shown.take_lowest(0, there)
        file.append([OverlayRow(0, lane, sequence, number, b"x" * 300)])
    return number


def creating(file: HostFile, lane: int, notes: Path) -> int:
    """A process that creates trials for ever, and notes what was acknowledged."""
    child = os.fork()
    if child == 0:
        try:
            said = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            for sequence in range(1, 1 << 30):
                os.write(said, b"%d %d %d\n" % (lane, sequence, created(file, lane, sequence)))
        finally:
            os._exit(1)
    return child


def test_what_was_acknowledged_outlives_kill_9_and_no_number_is_given_twice(
    file: HostFile, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    children = [creating(file, lane, notes) for lane in range(8)]
    end = time.monotonic() + PATIENCE
    chance = random.Random(1)
    for place, child in enumerate(children, 1):
        while file.pending() < 20 * place and time.monotonic() < end:
            time.sleep(chance.random() / 100)  # the moment is what is tested
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    said = [tuple(map(int, line.split())) for line in notes.read_text().splitlines()]
    rows = {(row.lane, row.sequence): row.number for row in file.news(0)}
    assert len(said) >= 100
    assert {(lane, sequence): number for lane, sequence, number in said}.items() <= rows.items()
    # Of each process one more may be there, which it could not say any more. None left a gap.
    assert len(rows) <= len(said) + len(children)
    assert sorted(number for number in rows.values() if number is not None) == list(range(len(rows)))


def test_a_child_of_a_fork_opens_the_file_for_itself(file: HostFile) -> None:
    created(file, 1, 1)
    assert file.merging.take()
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if created(file, 2, 1) == 1 and not file.merging.take() else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert created(file, 1, 2) == 2
    assert [row.lane for row in file.news(0)] == [1, 2, 1]


def test_a_lock_ends_with_its_process_though_a_child_lives_on(file: HostFile) -> None:
    reading, writing = os.pipe()
    parent = os.fork()
    if parent == 0:
        file.merging.take()
        if os.fork() == 0:
            os.write(writing, b"%d" % os.getpid())
        signal.pause()
    child = int(os.read(reading, 20))
    assert not file.merging.take()
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert file.merging.take()
    os.kill(child, signal.SIGKILL)
    os.close(reading)
    os.close(writing)


def test_a_full_disk_acknowledges_nothing_and_the_file_goes_on_when_there_is_room(file: HostFile) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    numbers = [created(file, 1, 1)]
    try:
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (file.path.with_suffix(".study-wal").stat().st_size + 50_000, before[1])
        )
        with pytest.raises(SpoolFull, match="make room"):
            numbers.extend(created(file, 1, sequence) for sequence in range(2, 1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [row.sequence for row in file.news(0)] == list(range(1, len(numbers) + 1))
    numbers.append(created(file, 1, len(numbers) + 1))
    assert [row.number for row in file.news(0)] == numbers == list(range(len(numbers)))
