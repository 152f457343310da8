"""The numbers that a host showed: none is free twice, in whatever process."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from qwf_async.errors import SpoolFull
from qwf_async.study.shown_numbers import ShownNumbers


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[ShownNumbers]:
    with closing(ShownNumbers(tmp_path / "shown")) as numbers:
        yield numbers


def test_a_number_is_free_once(shown: ShownNumbers) -> None:
    assert [shown.mark(number) for number in (0, 3, 3, 0, 1)] == [True, True, False, False, True]
    assert shown.count() == 3


def test_the_lowest_number_without_a_mark_is_taken(shown: ShownNumbers) -> None:
    shown.mark_all([0, 1, 3, *range(5, 10_000)])
    taken: list[int] = []
    for _ in range(3):
        taken.append(shown.take_lowest(1, taken))
    assert taken == [2, 4, 10_000]
    assert shown.take_lowest(20_000, ()) == 20_000


def test_a_number_that_was_reserved_and_never_shown_is_taken_again_but_not_free(shown: ShownNumbers) -> None:
    assert [shown.take_lowest(7, ()), shown.take_lowest(7, ())] == [7, 7]
    assert not shown.mark(7)
    assert shown.take_lowest(7, ()) == 7


def test_a_full_disk_is_told_and_nothing_noted(shown: ShownNumbers) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        with pytest.raises(SpoolFull, match="make room"):
            shown.mark(10)
        assert shown.mark(9)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert shown.mark(10)


MARKING = """
import sys
from pathlib import Path
from qwf_async.study.shown_numbers import ShownNumbers
numbers = ShownNumbers(Path(sys.argv[1]))
print(*(number for number in range(int(sys.argv[2])) if numbers.mark(number)))
"""


def test_many_processes_never_have_the_same_number_free(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MARKING, str(tmp_path / "shown"), "2000"]
    begun = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    found = [int(number) for process in begun for number in process.communicate()[0].split()]
    assert sorted(found) == list(range(2000))


def test_a_child_marks_by_a_lock_of_its_own(shown: ShownNumbers) -> None:
    shown.mark(0)
    child = os.fork()
    if child == 0:
        os._exit(0 if not shown.mark(0) and shown.mark(1) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert not shown.mark(1)
