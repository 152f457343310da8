"""The copy of a study's log on this host: what a job reads that starts while the server is away.

It also gives the server back what it lost. The copy begins behind the entries that compaction
had trimmed away; whole trials stand for these, as on the server.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from typing import Final

from .compaction import TrimmedAway
from .file_lock import FileLock
from .host_connection import HostConnection
from .host_database import damaged
from .host_directory import COPY

_KEYS: Final = ("copy_base", "copy_tail", "copy_live")
_POSITION: Final = struct.Struct("<Q")


class LogCopy:
    """The copy in one file. `lock` is held by the process that copies."""

    def __init__(self, connection: HostConnection) -> None:
        self.lock = FileLock(connection.path.with_suffix(COPY))
        self._connection = connection

    def begin(self, base: TrimmedAway, done: Iterable[bytes]) -> None:
        """Begin anew, behind `base`, for whose entries the whole trials `done` stand. Within `writing`."""
        self._connection.rows("DELETE FROM base")
        self._connection.rows("DELETE FROM copy")
        self._connection.write_many("INSERT INTO base (entry) VALUES (?)", ((raw,) for raw in done))
        self._connection.write_many(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)", zip(_KEYS, base, strict=True)
        )

    def extend(self, position: int, raws: Sequence[bytes]) -> None:
        """Add entries of the log, of which the first is behind `position` others. Within `writing`.

        What the copy has already is left out. Raises ValueError if there would be a gap.
        """
        end, _ = self.end()
        if position > end:
            raise ValueError(f"the copy ends at {end}, and this begins at {position}")
        self._connection.write_many(
            "INSERT INTO copy VALUES (?, ?)", enumerate(raws[end - position :], end + 1)
        )

    def base(self) -> TrimmedAway | None:
        """Where the copy begins. None if there is none."""
        meta = dict(self._connection.rows("SELECT key, value FROM meta"))
        return TrimmedAway(*(meta[key] for key in _KEYS)) if _KEYS[0] in meta else None

    def end(self) -> tuple[int, bytes]:
        """How many entries of the log the copy stands for, and the last of them; 0 and nothing if there is no copy."""
        for position, raw in self._connection.rows(
            "SELECT position, entry FROM copy ORDER BY position DESC LIMIT 1"
        ):
            return position, raw
        base = self.base()
        return (base.position, base.tail) if base else (0, b"")

    def tail_at(self, position: int) -> bytes | None:
        """The last of the first `position` entries of the log. None if the copy does not have it."""
        base = self.base()
        if base and base.position == position:
            return base.tail
        return next(iter(self.read(position - 1, 1)), None)

    def read_base(self, after_n: int, limit: int) -> list[tuple[int, bytes]]:
        """Some of the whole trials before the copy, each with its place among them."""
        rows = self._connection.rows(
            "SELECT n, entry FROM base WHERE n > ? ORDER BY n LIMIT ?", (after_n, limit)
        )
        return [(n, raw) for n, raw in rows]

    def read(self, after: int, limit: int) -> list[bytes]:
        """Some of the entries behind the first `after` ones of the log.

        Raises DamagedData if one is missing between them.
        """
        rows = self._connection.rows(
            "SELECT position, entry FROM copy WHERE position > ? ORDER BY position LIMIT ?", (after, limit)
        )
        if rows and rows[-1][0] != after + len(rows):
            raise damaged(self._connection.path, "entries are missing")
        return [raw for _, raw in rows]

    def note(self) -> None:
        """Tell the other jobs how far the copy is: they need not keep what it has. After `writing`."""
        os.pwrite(self.lock.descriptor, _POSITION.pack(self.end()[0]), 0)

    def noted(self) -> int:
        """How far the copy was when that was noted last."""
        found = os.pread(self.lock.descriptor, _POSITION.size, 0)
        return int(_POSITION.unpack(found)[0]) if len(found) == _POSITION.size else 0
