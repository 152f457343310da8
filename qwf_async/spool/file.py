"""The spool of one load: batches are committed to a file, and taken out again by this process or a later one.

The methods block on the disk alone: call them in a worker thread, one at a time. A `put`
that has returned survives a killed process and a power cut.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from ..catalog.manifest import NewerFormat
from ..errors import DamagedData, InvalidInput, QwfError, Refused, SpoolFull
from ..host.directory_sync import sync_directory
from ..host.private_files import check_private_file
from ..wire.batch import Batch
from .database import check, checksum_of, connect, create_tables, scan
from .first_page import mended
from .head import SpoolHead, check_spool_directory, head_path, read_head, write_head
from .row import Row, decode, encode
from .sqlite_errors import FAILURES, damaged, translate

_BESIDE: Final = ("-wal", "-shm", "-journal")
"""Endings of files that SQLite may leave beside its file. They are removed first: a log that outlives its file
would be taken for the log of a later one."""

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

_MAX_SEQUENCE: Final = 1 << 53
"""A sequence number beyond it is damage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A damaged row, whose chunk must be sent again. `chunk` is None if its number cannot be read either."""

    sequence: int
    chunk: int | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _WaitingRow:
    chunk: int
    nbytes: int


class SpoolFile:
    """The spool of one load, open in this process alone.

    A damaged row is quarantined when `open` or `rows` comes across it. It waits no longer, and
    is reported in `quarantined`, also to later processes.
    """

    def __init__(self, path: Path, head: SpoolHead, connection: sqlite3.Connection, limit: int) -> None:
        self.path = path
        self.head = head
        self._connection = connection
        self._limit = limit
        self._waiting: dict[int, _WaitingRow] = {}
        self._quarantined: dict[int, Quarantined] = {}
        self._to_remove: set[int] = set()
        self._last = 0

    @classmethod
    def create(cls, path: Path, head: SpoolHead, *, limit: int) -> Self:
        """A new spool at `spool_path(…)`, readable by this user alone. Its directory is created if it is missing.

        `limit` bounds the bytes that wait. The disk needs a twentieth more, and up to 64 MiB
        for SQLite's log. Raises Refused if the file exists, SpoolFull if the disk is
        full, InvalidInput if the directory cannot be used.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_spool_directory(path.parent)
            if os.path.lexists(path):
                raise Refused(f"the spool {path} exists already: bring it to the server with qwf resume")
            _unlink(path)
            try:
                write_head(path, head)
                new = _new(path)
                os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
                with _translated(path), closing(connect(new)) as connection:
                    create_tables(connection)
                new.replace(path)
                sync_directory(path.parent)
            except BaseException:
                _unlink(path)
                raise
        except OSError as error:
            where = f"no spool can be made in {path.parent}: {error.strerror}"
            if error.errno in _NO_ROOM:
                raise SpoolFull(f"{where}; make room on its disk, or choose another disk") from error
            raise InvalidInput(f"{where}; choose another directory") from error
        return cls._opened(path, head, limit)

    @classmethod
    def open(cls, path: Path, *, limit: int) -> Self:
        """A spool that an earlier process left, with all that this process had put and not removed.

        `limit` is as for `create`. Raises DamagedData if it is no spool of ours, has a newer
        format, or is damaged so that nothing of it can be read; Refused if a process has it
        open; SpoolFull if the disk is full; InvalidInput if it may not be read.
        """
        head = read_head(path)
        try:
            for file in (path, *(_beside(path, end) for end in _BESIDE)):
                if os.path.lexists(file):
                    check_private_file(file)
        except OSError as error:
            raise InvalidInput(f"the spool {path} cannot be used: {error.strerror}") from error
        try:
            return cls._opened(path, head, limit)
        except NewerFormat:
            raise
        except DamagedData:
            spool = cls._mended(path, head, limit)
            if spool is None:
                raise
            return spool

    @classmethod
    def _mended(cls, path: Path, head: SpoolHead, limit: int) -> Self | None:
        """The spool with a new first page. None, with the file as it was, if there is no row behind that page."""
        with suppress(DamagedData, OSError, *FAILURES), mended(path):
            spool = cls._opened(path, head, limit)
            if spool.quarantined or not spool.is_empty:
                return spool
            spool.close()
            raise damaged(path, "nothing is in it")
        return None

    @classmethod
    def _opened(cls, path: Path, head: SpoolHead, limit: int) -> Self:
        with _translated(path):
            connection = connect(path)
        spool = cls(path, head, connection, limit)
        try:
            with _translated(path):
                check(connection, path)
            spool._find_rows()
        except BaseException:
            spool.close()
            raise
        return spool

    @property
    def chunks(self) -> frozenset[int]:
        """Numbers of the chunks that wait."""
        return frozenset(waiting.chunk for waiting in self._waiting.values())

    @property
    def nbytes(self) -> int:
        """Bytes of the rows that wait, headers included."""
        return sum(waiting.nbytes for waiting in self._waiting.values())

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits. Quarantined rows do not wait."""
        return not self._waiting

    @property
    def quarantined(self) -> Sequence[Quarantined]:
        """The rows that were found damaged so far, in order."""
        return [self._quarantined[sequence] for sequence in sorted(self._quarantined)]

    def put(self, batches: Iterable[Batch]) -> None:
        """Commit all batches, or none. Returns when they are on the disk.

        Raises SpoolFull if they exceed the limit or the disk has no room, DamagedData if the
        file is too damaged to be written, InvalidInput if it may not be written. Then none of
        them is in the file, and the next call may succeed.
        """
        generation = self.head.manifest.generation
        rows: dict[int, _WaitingRow] = {}
        room = self._limit - self.nbytes
        with self._transaction():
            for sequence, batch in enumerate(batches, self._last + 1):
                buffers = encode(batch, generation=generation, sequence=sequence)
                row = _WaitingRow(chunk=batch.chunk, nbytes=sum(map(len, buffers)))
                rows[sequence] = row
                room -= row.nbytes
                if room < 0:
                    raise self._full(row.nbytes)
                self._connection.execute(
                    # No known row has this number. If there is one nevertheless, it is damaged.
                    "INSERT OR REPLACE INTO batches VALUES (?, zeroblob(?))",
                    (sequence, row.nbytes),
                )
                with self._connection.blobopen("batches", "row", sequence) as blob:
                    for buffer in buffers:
                        blob.write(buffer)
                self._connection.execute(
                    "INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?)",
                    (sequence, row.chunk, row.nbytes, checksum_of(sequence, row.chunk, row.nbytes)),
                )
        self._waiting |= rows
        self._last += len(rows)

    def rows(self, max_bytes: int, chunks: Container[int] | None = None) -> list[tuple[int, Row]]:
        """The oldest chunks that wait, of about `max_bytes` in all. If any waits, there is at least one.

        Only those of `chunks`, if that is not None. Each comes with the number by which it can be
        removed. Numbers grow in the order of `put`. Damaged rows are quarantined on the way.
        """
        rows: list[tuple[int, Row]] = []
        room = max_bytes
        for sequence, waiting in list(self._waiting.items()):
            if chunks is not None and waiting.chunk not in chunks:
                continue
            if rows and room < waiting.nbytes:
                break
            try:
                row = self._decoded(sequence, self._read(sequence, waiting.nbytes))
            except ValueError as error:
                self.quarantine(sequence, waiting.chunk, str(error))
                continue
            room -= waiting.nbytes
            rows.append((sequence, row))
        return rows

    def remove(self, sequences: Iterable[int]) -> None:
        """Forget batches that are on the server. They wait no longer, even if the disk fails.

        If the file cannot be written, they are removed from it with the next call. A later
        process may find them there until then, and sends them again to the same effect.
        """
        for sequence in sequences:
            if self._waiting.pop(sequence, None) is not None:
                self._to_remove.add(sequence)
        numbers = [(sequence,) for sequence in sorted(self._to_remove)]
        with suppress(QwfError):
            with self._transaction():
                self._connection.executemany("DELETE FROM waiting WHERE sequence = ?", numbers)
                self._connection.executemany("DELETE FROM batches WHERE sequence = ?", numbers)
            self._to_remove.clear()

    def close(self) -> None:
        """Close the file, with what waits in it. May be called twice."""
        with _translated(self.path):
            self._connection.close()

    def delete(self) -> None:
        """Close the file and remove it from the disk, with its head. Raises InvalidInput if it cannot be removed."""
        self.close()
        try:
            _unlink(self.path)
        except OSError as error:
            raise InvalidInput(f"the spool {self.path} cannot be removed: {error.strerror}") from error

    def _find_rows(self) -> None:
        """Find the rows that wait, from both tables: a damaged page may hide rows of one of them without an error."""
        for sequence, chunk, why in scan(self._connection, "quarantine"):
            text = bytes(why).decode(errors="replace") if isinstance(why, bytes) else "damaged"
            number = chunk if isinstance(chunk, int) else None
            if 0 < sequence < _MAX_SEQUENCE:
                self._quarantined[sequence] = Quarantined(sequence=sequence, chunk=number, why=text)
        for sequence, chunk, nbytes, checksum in scan(self._connection, "waiting"):
            if not isinstance(chunk, int) or not isinstance(nbytes, int):
                continue
            if checksum == checksum_of(sequence, chunk, nbytes):
                self._waiting[sequence] = _WaitingRow(chunk=chunk, nbytes=nbytes)
        stored = {
            sequence for (sequence,) in scan(self._connection, "batches") if 0 < sequence < _MAX_SEQUENCE
        }
        known = self._waiting.keys() | self._quarantined.keys()
        self._last = max(stored | known, default=0)
        for sequence in self._quarantined:
            self._waiting.pop(sequence, None)
        size = sum(file.stat().st_size for file in (self.path, _beside(self.path, "-wal")) if file.exists())
        for sequence in sorted(stored - known):
            try:
                data = self._read(sequence, size)
                row = self._decoded(sequence, data)
            except ValueError as error:
                self.quarantine(sequence, None, str(error))
            else:
                self._waiting[sequence] = _WaitingRow(chunk=row.chunk, nbytes=len(data))
        self._waiting = dict(sorted(self._waiting.items()))

    def _decoded(self, sequence: int, row: bytes) -> Row:
        return decode(row, generation=self.head.manifest.generation, sequence=sequence)

    def _read(self, sequence: int, max_bytes: int) -> bytes:
        """The bytes of one row. Raises ValueError, with the reason, if it cannot be read or claims to be longer."""
        try:
            with self._connection.blobopen("batches", "row", sequence, readonly=True) as blob:
                if len(blob) > max_bytes:
                    raise ValueError(f"it claims to have {len(blob)} bytes")
                return blob.read()
        except sqlite3.Error as error:
            raise ValueError(f"it cannot be read: {error}") from error

    def quarantine(self, sequence: int, chunk: int | None, why: str) -> None:
        """Mark a row as damaged. Its bytes stay where they are, because freeing damaged pages spreads the damage."""
        self._waiting.pop(sequence, None)
        self._quarantined[sequence] = Quarantined(sequence=sequence, chunk=chunk, why=why)
        # If the mark cannot be written, a later process finds the damage as this one did.
        with suppress(QwfError), self._transaction():
            self._connection.execute(
                "INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?)", (sequence, chunk, why.encode())
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit all that the body does, or nothing. An error of SQLite is raised as ours."""
        try:
            with _translated(self.path):
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                self._connection.execute("ROLLBACK")
            raise

    def _full(self, nbytes: int) -> QwfError:
        if nbytes > self._limit:
            return SpoolFull(
                f"a batch of {nbytes:,} bytes does not fit the spool {self.path} at all: "
                f"raise its limit of {self._limit:,} bytes"
            )
        return SpoolFull(
            f"the spool {self.path} is full: {self.nbytes:,} of {self._limit:,} bytes wait; "
            "bring the server back, or raise the limit"
        )


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _new(path: Path) -> Path:
    """The name of a database that is being created, so that a database with the final name is complete."""
    return path.with_suffix(".making")


def _unlink(path: Path) -> None:
    """Remove a spool, and what SQLite or an interrupted `create` may have left; the head last. Raises OSError."""
    for database in (_new(path), path):
        for file in (*(_beside(database, end) for end in _BESIDE), database):
            file.unlink(missing_ok=True)
    head_path(path).unlink(missing_ok=True)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except FAILURES as error:
        raise translate(error, path) from error
