"""Batches committed to a file, and taken out again, by this process or a later one.

Nothing here waits for anything but the disk. The methods block: call them in a worker
thread, one at a time. A `put` that has returned survives a killed process and a power cut.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from ..catalog.manifest import NewerFormat
from ..errors import DamagedData, InvalidInput, QwfError, Refused
from ..host.private_files import check_private_file
from ..wire.batch import Batch
from .database import check, checksum_of, connect, create_tables, scan
from .first_page import mended
from .head import SpoolHead, check_spool_directory, head_path, read_head, sync_directory, write_head
from .row import Row, decode, encode
from .sqlite_errors import FAILURES, SpoolFull, damaged, translate

_BESIDE: Final = ("-wal", "-shm", "-journal")
"""What SQLite may leave beside a file. They go first: a log without its file could be taken for a later one's."""

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

_MOST_ROWS: Final = 1 << 53
"""A sequence number beyond it is damage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A row that is damaged: `chunk` is None if that too cannot be read. Its chunk must be taken anew."""

    sequence: int
    chunk: int | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    chunk: int
    nbytes: int


class SpoolFile:
    """The spool of one load, open in this process alone.

    Rows found damaged are quarantined when they are met, by `open` or by `rows`: they wait
    no longer, and are reported in `quarantined`, by later processes too.
    """

    def __init__(self, path: Path, head: SpoolHead, connection: sqlite3.Connection, limit: int) -> None:
        self.path = path
        self.head = head
        self._connection = connection
        self._limit = limit
        self._waiting: dict[int, _Waiting] = {}
        self._quarantined: dict[int, Quarantined] = {}
        self._to_remove: set[int] = set()
        self._last = 0

    @classmethod
    def create(cls, path: Path, head: SpoolHead, *, limit: int) -> Self:
        """A new spool at `spool_path(…)`, readable by this user alone; its directory is made if need be.

        `limit` bounds the bytes that wait. The disk needs up to 64 MiB for SQLite's log and
        a twentieth besides. Raises Refused if the file exists, SpoolFull if the disk is
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
        """A spool that an earlier process left, with all that it had put and not removed.

        `limit` as for `create`. Raises DamagedData if it is no spool of ours, of a newer
        format, or damaged where nothing of it can be read; Refused if a process has it
        open; SpoolFull if the disk is full, InvalidInput if it may not be read.
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
        """The spool with a new first page; or None, with the file as it was, if no row is found behind it."""
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
        """Bytes of the rows that wait: those of the batches and of their headers."""
        return sum(waiting.nbytes for waiting in self._waiting.values())

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits. What is in quarantine waits no longer."""
        return not self._waiting

    @property
    def quarantined(self) -> Sequence[Quarantined]:
        """The rows found damaged so far, in order."""
        return [self._quarantined[sequence] for sequence in sorted(self._quarantined)]

    def put(self, batches: Iterable[Batch]) -> None:
        """Commit batches, all or none; returns when they are on the disk.

        Raises SpoolFull if they go beyond the limit or the disk has no room, DamagedData if
        the file is too damaged to be written, InvalidInput if it may not be. Nothing of them
        is then in the file, and the next call may succeed.
        """
        generation = self.head.manifest.generation
        rows: dict[int, _Waiting] = {}
        room = self._limit - self.nbytes
        with self._transaction():
            for sequence, batch in enumerate(batches, self._last + 1):
                buffers = encode(batch, generation=generation, sequence=sequence)
                row = _Waiting(chunk=batch.chunk, nbytes=sum(map(len, buffers)))
                rows[sequence] = row
                room -= row.nbytes
                if room < 0:
                    raise self._full(row.nbytes)
                self._connection.execute(
                    # A number above all that are known can only be taken by a damaged row.
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

    def rows(self, most_bytes: int) -> list[tuple[int, Row]]:
        """The oldest chunks that wait, of about so many bytes in all: one at least if any waits.

        Each comes with the number by which it can be removed; numbers grow in order of `put`.
        Rows found damaged on the way are quarantined.
        """
        found: list[tuple[int, Row]] = []
        room = most_bytes
        for sequence, waiting in list(self._waiting.items()):
            if found and room < waiting.nbytes:
                break
            try:
                row = self._decoded(sequence, self._read(sequence, waiting.nbytes))
            except ValueError as error:
                self.quarantine(sequence, waiting.chunk, str(error))
                continue
            room -= waiting.nbytes
            found.append((sequence, row))
        return found

    def remove(self, sequences: Iterable[int]) -> None:
        """Forget batches that are on the server. They wait no longer, whatever the disk says.

        If the file cannot be written, removing them is tried again with the next; a later
        process may find them once more, and sends them again to the same effect.
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
        """Let go of the file; what waits stays in it. May be called twice."""
        with _translated(self.path):
            self._connection.close()

    def delete(self) -> None:
        """Close it and remove it from the disk with all that belongs to it. Raises InvalidInput if it cannot be."""
        self.close()
        try:
            _unlink(self.path)
        except OSError as error:
            raise InvalidInput(f"the spool {self.path} cannot be removed: {error.strerror}") from error

    def _find_rows(self) -> None:
        """Learn what waits, from both tables: a damaged page may hide rows of either without an error."""
        for sequence, chunk, why in scan(self._connection, "quarantine"):
            text = bytes(why).decode(errors="replace") if isinstance(why, bytes) else "damaged"
            number = chunk if isinstance(chunk, int) else None
            if 0 < sequence < _MOST_ROWS:
                self._quarantined[sequence] = Quarantined(sequence=sequence, chunk=number, why=text)
        for sequence, chunk, nbytes, checksum in scan(self._connection, "waiting"):
            if not isinstance(chunk, int) or not isinstance(nbytes, int):
                continue
            if checksum == checksum_of(sequence, chunk, nbytes):
                self._waiting[sequence] = _Waiting(chunk=chunk, nbytes=nbytes)
        stored = {sequence for (sequence,) in scan(self._connection, "batches") if 0 < sequence < _MOST_ROWS}
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
                self._waiting[sequence] = _Waiting(chunk=row.chunk, nbytes=len(data))
        self._waiting = dict(sorted(self._waiting.items()))

    def _decoded(self, sequence: int, row: bytes) -> Row:
        return decode(row, generation=self.head.manifest.generation, sequence=sequence)

    def _read(self, sequence: int, most_bytes: int) -> bytes:
        """One row. Raises ValueError saying why if it cannot be read, or is too long to be right."""
        try:
            with self._connection.blobopen("batches", "row", sequence, readonly=True) as blob:
                if len(blob) > most_bytes:
                    raise ValueError(f"it claims to have {len(blob)} bytes")
                return blob.read()
        except sqlite3.Error as error:
            raise ValueError(f"it cannot be read: {error}") from error

    def quarantine(self, sequence: int, chunk: int | None, why: str) -> None:
        """Put a row out of the way. Its bytes stay where they are: to free damaged pages spreads the damage."""
        self._waiting.pop(sequence, None)
        self._quarantined[sequence] = Quarantined(sequence=sequence, chunk=chunk, why=why)
        # If it cannot be noted, a later process finds the damage as this one did.
        with suppress(QwfError), self._transaction():
            self._connection.execute(
                "INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?)", (sequence, chunk, why.encode())
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what is done within, or nothing of it. Raises what an error of SQLite's means."""
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
    """The name of a database while it is made: one of the right name is whole."""
    return path.with_suffix(".making")


def _unlink(path: Path) -> None:
    """Remove a spool with all that an interrupted `create` or SQLite may have left, its head last. Raises OSError."""
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
