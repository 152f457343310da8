"""What this host knows of a study by itself: one SQLite file, which all its jobs share.

It holds a copy of the server's log, and what was written while the server was away. Four files
lie beside it: the numbers that were shown on this host, and three locks.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import AbstractContextManager, closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Self

from ..host.directory_sync import sync_directory
from .file_lock import FileLock
from .host_connection import HostConnection, translated
from .host_database import check, connect, create_tables, damaged
from .host_directory import (
    MERGE,
    SHOWN,
    StudyIdentity,
    beside,
    check_study_directory,
    check_study_files,
    path_of,
    usable,
)
from .log_copy import LogCopy
from .shown_numbers import ShownNumbers


class OverlayRow(NamedTuple):
    """An entry that was written while the server was away. `number` is what a new trial was shown.

    `n` is its place in the file, which grows for ever; 0 in a row that is not in the file yet.
    """

    n: int
    lane: int
    sequence: int
    number: int | None
    raw: bytes


class HostFile:
    """The file of one study. Safe for threads, and at a fork. Raises SpoolFull if the disk is full.

    `merging` is held by the process that brings the overlay to the server.
    """

    def __init__(self, path: Path, identity: StudyIdentity) -> None:
        self.path = path
        self.identity = identity
        self.merging = FileLock(path.with_suffix(MERGE))
        self.shown = ShownNumbers(path.with_suffix(SHOWN))
        self._connection = HostConnection(path, self._check)
        self.copy = LogCopy(self._connection)

    @classmethod
    def open(cls, directory: Path, identity: StudyIdentity) -> Self:
        """The file of this study in a directory, made if it is not there.

        Raises InvalidInput if directory or file are not this user's alone, DamagedData if the file is not
        that of this study or has another format, SpoolFull if the disk is full.
        """
        path = path_of(directory, identity)
        file = cls(path, identity)
        try:
            with usable(path):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                check_study_directory(directory)
                check_study_files(path)
                with file._connection.lock.held():
                    if not path.exists():
                        _create(path, identity)
            file._connection.connected()
        except BaseException:
            file.close()
            raise
        return file

    @classmethod
    def existing(cls, path: Path) -> Self:
        """The file at a path, of whatever study it is. Raises as `open`."""
        with usable(path):
            check_study_directory(path.parent)
            check_study_files(path)
        with translated(path), closing(connect(path)) as connection:
            check(connection, path)
            identity = _identity_in(connection, path)
        if path != path_of(path.parent, identity):
            raise damaged(path, "it has the name of another study")
        return cls(path, identity)

    def writing(self) -> AbstractContextManager[None]:
        """Within this, no other job of the host writes to the file; all of it is on the disk in the end, or nothing."""
        return self._connection.writing()

    def episode(self) -> int | None:
        """The number of the episode that is open. None: the host has nothing that the server has not."""
        rows = self._connection.rows("SELECT id FROM episode WHERE ended IS NULL")
        return rows[0][0] if rows else None

    def open_episode(self) -> int:
        """The episode that is open, or a new one. Within `writing`."""
        found = self.episode()
        if found is None:
            self._connection.rows("INSERT INTO episode (begun) VALUES (?)", (_now(),))
            found = self._connection.rows("SELECT last_insert_rowid()")[0][0]
        return found

    def close_episode(self) -> None:
        """End the episode that is open, and forget the overlay: the server has it. Within `writing`."""
        self._connection.rows("UPDATE episode SET ended = ? WHERE ended IS NULL", (_now(),))
        self._connection.rows("DELETE FROM overlay")

    def append(self, rows: Iterable[OverlayRow]) -> int:
        """Write rows to the overlay, without those that it has. Returns the `n` of the last. Within `writing`."""
        self._connection.write_many(
            "INSERT OR IGNORE INTO overlay (lane, seq, number, entry) VALUES (?, ?, ?, ?)",
            (row[1:] for row in rows),
        )
        return int(self._connection.rows("SELECT coalesce(max(n), 0) FROM overlay")[0][0])

    def sequences(self) -> dict[int, int]:
        """The highest sequence number of each lane in the overlay."""
        return dict(self._connection.rows("SELECT lane, max(seq) FROM overlay GROUP BY lane"))

    def renumber(self, lane: int, sequence: int, number: int) -> None:
        """Note that the trial of a row was shown another number. Within `writing`."""
        statement = "UPDATE overlay SET number = ? WHERE lane = ? AND seq = ?"
        self._connection.rows(statement, (number, lane, sequence))

    def is_shown_by_another(self, number: int, lane: int, sequence: int) -> bool:
        """Whether another row than this one has a number."""
        statement = "SELECT 1 FROM overlay WHERE number = ? AND NOT (lane = ? AND seq = ?) LIMIT 1"
        return bool(self._connection.rows(statement, (number, lane, sequence)))

    def news(self, after_n: int) -> list[OverlayRow]:
        """The rows of the overlay behind row `after_n`, in their order."""
        statement = "SELECT n, lane, seq, number, entry FROM overlay WHERE n > ? ORDER BY n"
        return [OverlayRow(*row) for row in self._connection.rows(statement, (after_n,))]

    def pending(self) -> int:
        """How many rows wait for the server."""
        return int(self._connection.rows("SELECT count(*) FROM overlay")[0][0])

    def touch(self) -> None:
        """Note that this is the study of its name on the server now."""
        self._connection.lock.touch()

    def remove(self) -> None:
        """Close the file, and remove it with those beside it. Raises InvalidInput if that cannot be done."""
        self.close()
        with usable(self.path):
            for file in (self.path, *beside(self.path)):
                file.unlink(missing_ok=True)

    def close(self) -> None:
        """Close all files. They are opened again when needed."""
        self._connection.close()
        for lock in (self.merging, self.copy.lock, self.shown):
            lock.close()

    def _check(self, connection: sqlite3.Connection) -> None:
        check(connection, self.path)
        if _identity_in(connection, self.path) != self.identity:
            raise damaged(self.path, "it is that of another study")


def _create(path: Path, identity: StudyIdentity) -> None:
    """Make the file: whole, or not at all. Within its lock."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    meta = {
        "server": identity.server,
        "prefix": identity.prefix,
        "study_id": identity.study_id,
        "name": identity.name,
    }
    with translated(path), closing(connect(new)) as connection:
        create_tables(connection, meta)
    new.replace(path)
    sync_directory(path.parent)


def _identity_in(connection: sqlite3.Connection, path: Path) -> StudyIdentity:
    meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    try:
        return StudyIdentity(
            server=meta["server"], prefix=meta["prefix"], study_id=meta["study_id"], name=meta["name"]
        )
    except KeyError as error:
        raise damaged(path, "it does not say of which study it is") from error


def _now() -> str:
    return datetime.now().isoformat(timespec="milliseconds")
