"""The SQLite file of a study as one process has it open: transactions that all jobs of the host make in turn.

A lock of our own stands in front of SQLite's, because SQLite waits for its lock by sleeping.

What SQLite does with synchronous FULL, to write its log to the disk before a commit returns, is done here
after the lock was given up, and before anybody is told. So many jobs wait for the disk together: 30 jobs
wrote three times as much.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any

from ..errors import SpoolFull
from .file_lock import FileLock
from .forks import tell_of_forks
from .host_database import FAILURES, connect, translate
from .host_directory import LOCK

Check = Callable[[sqlite3.Connection], None]


class HostConnection:
    """The open file. Safe for threads, and at a fork. It is opened when it is first needed, and passes `check` then.

    Raises DamagedData if it is damaged, SpoolFull if the disk is full.
    """

    def __init__(self, path: Path, check: Check) -> None:
        self.path = path
        self.lock = FileLock(path.with_suffix(LOCK))
        self._check = check
        self._of_threads = RLock()
        self._opened: sqlite3.Connection | None = None
        self._log: int | None = None
        tell_of_forks(self)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Within this, no other job of the host writes to the file; all of it is on the disk in the end, or nothing.

        If the disk fails at the end, what was written may be there, though the error is raised.
        """
        with self._of_threads:
            connection = self.connected()
            with self.lock.held(), translated(self.path):
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield
                    connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                        connection.execute("ROLLBACK")
                    raise
            self._sync()

    def _sync(self) -> None:
        """Write the log to the disk. It is the same file for as long as a connection is open."""
        try:
            if self._log is None:
                self._log = os.open(f"{self.path}-wal", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            os.fdatasync(self._log)
        except OSError as error:
            raise SpoolFull(
                f"the file of a study {self.path} cannot be written ({error.strerror}): make room on its disk, "
                "or choose another disk"
            ) from error

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement finds, if it finds any."""
        with (
            self._of_threads,
            translated(self.path),
            closing(self.connected().execute(statement, values)) as cursor,
        ):
            return cursor.fetchall()

    def write_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a statement for each of the rows. Within `writing`."""
        with self._of_threads, translated(self.path):
            self.connected().executemany(statement, rows)

    def connected(self) -> sqlite3.Connection:
        """The connection of this process."""
        with self._of_threads:
            if self._opened is None:
                with translated(self.path):
                    connection = connect(self.path)
                    try:
                        self._check(connection)
                    except BaseException:
                        connection.close()
                        raise
                    self._opened = connection
            return self._opened

    def close(self) -> None:
        """Close the file. It is opened again when needed."""
        with self._of_threads:
            if self._opened is not None:
                with suppress(sqlite3.Error):  # it is closed all the same; the next one recovers the log
                    self._opened.close()
                self._opened = None
            if self._log is not None:
                os.close(self._log)
                self._log = None
            self.lock.close()

    def before_fork(self) -> None:
        """Let no thread be within the file at a fork, and no connection be open."""
        self._of_threads.acquire()
        self.close()

    def after_fork(self) -> None:
        """Go on."""
        self._of_threads.release()


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Within this, errors of SQLite are raised as ours."""
    try:
        yield
    except FAILURES as error:
        raise translate(error, path) from error
