"""The file that a host has of a study: what is written is read again, and what is not ours is not touched."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from qwf_async.errors import DamagedData, InvalidInput
from qwf_async.study.compaction import TrimmedAway
from qwf_async.study.host_directory import StudyIdentity, files_on_host, path_of
from qwf_async.study.host_file import HostFile, OverlayRow

IDENTITY = StudyIdentity(server="unix:///s/0", prefix="qwf", study_id=512, name="a study")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[HostFile]:
    with closing(HostFile.open(tmp_path / "studies", IDENTITY)) as opened:
        yield opened


def row(sequence: int, number: int | None = None) -> OverlayRow:
    return OverlayRow(0, 7, sequence, number, b'["P",%d]' % sequence)


def test_rows_come_in_their_order_and_once(file: HostFile) -> None:
    with file.writing():
        episode = file.open_episode()
        file.append([row(2), row(1), row(2)])
    with file.writing():
        assert file.open_episode() == episode
        file.append([row(1), row(3, number=40)])
    news = file.news(0)
    assert [(found.sequence, found.number, found.raw) for found in news] == [
        (2, None, b'["P",2]'),
        (1, None, b'["P",1]'),
        (3, 40, b'["P",3]'),
    ]
    assert file.news(news[1].n) == news[2:]
    assert file.pending() == 3


def test_numbers_of_rows_and_episodes_are_never_used_again(file: HostFile) -> None:
    with file.writing():
        first = file.open_episode()
        file.append([row(1), row(2)])
    last = file.news(0)[-1].n
    with file.writing():
        file.close_episode()
    assert file.episode() is None
    assert file.pending() == 0
    with file.writing():
        assert file.open_episode() > first
        file.append([row(1)])
    assert file.news(0)[0].n > last


def test_nothing_is_kept_of_a_transaction_that_fails(file: HostFile) -> None:
    def fail() -> None:
        with file.writing():
            file.open_episode()
            file.append([row(1)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (file.episode(), file.pending()) == (None, 0)
    with file.writing():
        file.append([row(1)])
    assert file.pending() == 1


def test_a_copy_goes_on_where_it_ended(file: HostFile) -> None:
    log = [b"%d" % position for position in range(1, 31)]
    assert file.copy.end() == (0, b"")
    assert file.copy.base() is None
    with file.writing():
        file.copy.extend(0, log[:10])
        file.copy.extend(5, log[5:20])
        file.copy.extend(0, log[:3])
    file.copy.note()
    assert file.copy.end() == (20, b"20")
    assert file.copy.noted() == 20
    assert file.copy.read(0, 7) + file.copy.read(7, 100) == log[:20]
    with pytest.raises(ValueError, match="ends at 20"), file.writing():
        file.copy.extend(21, log[21:])


def test_a_copy_begins_behind_what_was_trimmed_away(file: HostFile) -> None:
    with file.writing():
        file.copy.extend(0, [b"old"])
        file.copy.begin(TrimmedAway(100, b"tail", b"{}"), [b"M1", b"M2", b"M3"])
    assert file.copy.end() == (100, b"tail")
    with file.writing():
        file.copy.extend(100, [b"new"])
    assert file.copy.base() == (100, b"tail", b"{}")
    assert [raw for _, raw in file.copy.read_base(0, 2)] == [b"M1", b"M2"]
    assert [raw for _, raw in file.copy.read_base(2, 2)] == [b"M3"]
    assert file.copy.read(100, 10) == [b"new"]


def test_a_gap_in_a_copy_is_told(file: HostFile) -> None:
    with file.writing():
        file.copy.extend(0, [b"1", b"2", b"3"])
    with closing(sqlite3.connect(file.path, isolation_level=None)) as plain:
        plain.execute("DELETE FROM copy WHERE position = 2")
    with pytest.raises(DamagedData, match="entries are missing"):
        file.copy.read(0, 10)


def test_studies_of_a_server_are_found_the_last_that_was_opened_first(tmp_path: Path) -> None:
    directory = tmp_path / "studies"
    assert files_on_host(directory, server="unix:///s/0", prefix="qwf") == []
    for study_id, server, prefix in ((1, "a", "p"), (2, "a", "p"), (3, "b", "p"), (4, "a", "q")):
        identity = StudyIdentity(server=server, prefix=prefix, study_id=study_id, name="name")
        with closing(HostFile.open(directory, identity)) as file:
            os.utime(file.path.with_suffix(".lock"), (1000 - study_id, 1000 - study_id))
    with closing(HostFile.existing(files_on_host(directory, server="a", prefix="p")[0])) as file:
        assert file.identity.study_id == 1
    (other,) = files_on_host(directory, server="a", prefix="q")
    with closing(HostFile.existing(other)) as file:
        file.remove()
    assert not list(directory.glob("4-*"))
    with closing(
        HostFile.existing(path_of(directory, StudyIdentity(server="a", prefix="p", study_id=2, name="name")))
    ) as file:
        file.touch()
    found = files_on_host(directory, server="a", prefix="p")
    assert [path.name.split("-")[0] for path in found] == ["2", "1"]


def statement(text: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as plain:
            plain.execute(text)

    return change


def linked(path: Path) -> None:
    path.rename(path.with_name("x"))
    path.symlink_to("x")


CHANGES: dict[str, tuple[Callable[[Path], object], type[Exception], str]] = {
    "of another study": (
        statement("UPDATE meta SET value = 513 WHERE key = 'study_id'"),
        DamagedData,
        "another study",
    ),
    "of another server": (
        statement("UPDATE meta SET value = 'x' WHERE key = 'server'"),
        DamagedData,
        "another study",
    ),
    "of nobody": (statement("DELETE FROM meta"), DamagedData, "does not say"),
    "another program's": (statement("PRAGMA application_id = 1"), DamagedData, "another program"),
    "newer": (statement("PRAGMA user_version = 2"), DamagedData, "format version 2"),
    "with a trigger": (
        statement("CREATE TRIGGER x AFTER INSERT ON overlay BEGIN DELETE FROM copy; END"),
        DamagedData,
        "its tables",
    ),
    "no database": (lambda path: path.write_bytes(b"x" * 9999), DamagedData, "not a database"),
    "writable by others": (lambda path: path.chmod(0o606), InvalidInput, "by others"),
    "a link": (linked, InvalidInput, "plain file"),
    "in everybody's directory": (lambda path: path.parent.chmod(0o777), InvalidInput, "by everybody"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_is_not_this_study_s_own_is_refused_and_left(file: HostFile, change: str) -> None:
    file.close()
    assert file.path.stat().st_mode & 0o777 == 0o600
    do, error, message = CHANGES[change]
    do(file.path)
    before = file.path.read_bytes()
    with pytest.raises(error, match=message):
        HostFile.open(file.path.parent, IDENTITY)
    with pytest.raises(error):
        HostFile.existing(file.path)
    assert file.path.read_bytes() == before
