"""Studies in a log of Optuna's JournalRedisBackend: a key for each entry, numbered from 0.

The keys are PREFIX:log_number, the number of the last entry, and PREFIX:log:N, an entry as JSON. The
third, PREFIX:snapshot, is a pickle, which runs what it says when it is loaded: it is never read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from ...errors import DamagedData, InvalidInput
from ...wording import flag, quoted
from .found import Found
from .journal import read_journal
from .lost_entries import Entry

GetKeys: TypeAlias = Callable[[Sequence[bytes]], Sequence[bytes | None]]
"""The values of keys, None for one that is not there. Raises ServerUnavailable and Refused."""

PIPELINE: Final = 500
"""Entries that are asked for at a time: an entry is some hundred bytes."""


class RedisLog:
    """The log under one prefix, which is only read. `shown` says where: a URL without its password.

    `close` is called when it was read.
    """

    def __init__(self, get: GetKeys, prefix: str, shown: str, close: Callable[[], object]) -> None:
        self._get = get
        self._when_read = close
        self._prefix = prefix.encode(errors="surrogateescape")
        self.shown = shown

    def last(self) -> int | None:
        """The number of the last entry; None if there is no log. Raises DamagedData if the number is none."""
        (last,) = self._get([b"%b:log_number" % self._prefix])
        if last is None:
            return None
        try:
            return int(last)
        except ValueError:
            raise DamagedData(
                f"{quoted(self._prefix.decode(errors='replace') + ':log_number')} of {self.shown} holds no number: "
                f"{quoted(last[:60].decode(errors='replace'))}"
            ) from None

    def read(self, *, skip_holes: bool = False) -> Found:
        """All studies of the log, as far as it is written now.

        Raises DamagedData if an entry is missing or is no JSON, unless `skip_holes`: then it is left
        out, and `notes` tell it. A last entry that is no JSON is always left out, and told. Raises
        InvalidInput if there is no log, and what `get` raises.
        """
        try:
            return self._read(skip_holes=skip_holes)
        finally:
            self._when_read()

    def names(self, limit: int) -> set[str]:
        """The names of studies that the first entries begin, `limit` of them at most."""
        last = self.last()
        entries = self._entries(min(-1 if last is None else last, limit - 1), {}, skip_holes=True)
        begun = (entry for entry in entries if entry and entry["op_code"] == 0)
        return {str(entry.get("study_name")) for entry in begun}

    def _read(self, *, skip_holes: bool) -> Found:
        last = self.last()
        if last is None:
            raise InvalidInput(
                f"{self.shown} holds no log of JournalRedisBackend under the prefix "
                f"{quoted(self._prefix.decode(errors='replace'))}: a prefix stands behind # in the URL"
            )
        lost: dict[int, str] = {}
        found = read_journal(
            lambda: self._entries(last, lost, skip_holes=skip_holes), where=self.shown, may_lack=skip_holes
        )
        found = found.noting(
            [f"entry {number:,} of {self.shown} {what} and was left out" for number, what in lost.items()]
        )
        if written := (self.last() or 0) - last:
            return found.noting(
                [
                    f"{written:,} entries were written to {self.shown} meanwhile and not read: stop what writes there"
                ]
            )
        return found

    def _entries(self, last: int, lost: dict[int, str], *, skip_holes: bool) -> Iterator[Entry | None]:
        """The entries up to `last`; None for one that is lost: its number goes to `lost`, with what is the matter."""
        for start in range(0, last + 1, PIPELINE):
            numbers = range(start, min(start + PIPELINE, last + 1))
            for number, raw in zip(numbers, self._get([self.key(number) for number in numbers]), strict=True):
                entry = None if raw is None else _parsed(raw)
                if entry is None:
                    lost[number] = "is missing" if raw is None else "is no entry"
                    if not skip_holes and (raw is None or number < last):
                        raise DamagedData(
                            f"entry {number:,} of {last + 1:,} of {self.shown} {lost[number]} (key "
                            f"{quoted(self.key(number).decode(errors='replace'))}): {flag('skip_holes')} leaves it out"
                        )
                yield entry

    def key(self, number: int) -> bytes:
        """The key of an entry."""
        return b"%b:log:%d" % (self._prefix, number)


def _parsed(raw: bytes) -> Entry | None:
    try:
        entry = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and "op_code" in entry else None
