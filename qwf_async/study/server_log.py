"""The log of one study on the server: steps, and reading it from its beginning."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ..client.reply import is_number, is_texts, is_texts_or_none
from ..errors import DamagedData
from ..wording import quoted
from .compaction import TrimmedAway, compacted, restore
from .keys import FORMAT, StudyKeys
from .link import Server
from .replica import Replica
from .scripts import COMPACT, CREATE, PAGE, REMOVE, STEP

GONE_SECONDS: Final = 7 * 24 * 3600
"""For so long a study that was removed is not brought back by a process that still has it open."""


class Forked(Exception):
    """The log is not the one that the caller knows: the server was emptied, or came back older."""


class Compacted(Exception):
    """The entries that the caller asked for were trimmed away."""


class StudyRemoved(KeyError):
    """The study was removed on purpose, not long ago."""


class Written(NamedTuple):
    """An entry with the lane and the sequence number that it stands for."""

    lane: int
    sequence: int
    raw: bytes


class News(NamedTuple):
    """What a step says: entries trimmed away, entries in all, and those after the position of the caller."""

    base: int
    total: int
    entries: Sequence[bytes]


class ServerLog:
    """The log of one study."""

    def __init__(self, server: Server, study_id: int) -> None:
        self.server = server
        self.study_id = study_id
        self.keys = StudyKeys(prefix=server.prefix, study_id=study_id)

    def exists(self) -> bool:
        """Whether the server has the study."""
        return bool(self.server.call(self.keys.head, "EXISTS", self.keys.head, expect=is_number))

    def create(self, first: Written) -> bool:
        """Begin the study with its first entry. Returns False if its keys are there already."""
        keys = (self.keys.head, self.keys.log, self.keys.seq)
        return bool(self.server.eval(CREATE, keys, [FORMAT, *first]))

    def remove(self) -> bool:
        """Remove all keys of the study. Returns whether it was there."""
        return bool(
            self.server.eval(
                REMOVE, (self.keys.gone, *self.keys.stored), [secrets.token_hex(8), GONE_SECONDS]
            )
        )

    def step(self, position: int, tail: bytes, writes: Sequence[Written] = ()) -> News:
        """Append what is not there yet, and return what comes after `position`, of which `tail` is the last entry.

        May be repeated with the same writes. Returns at most `PAGE` entries: there may be more. Raises
        Forked, Compacted, StudyRemoved, KeyError if it never was, DamagedData if it has a
        newer format, and what the link raises.
        """
        keys = (self.keys.head, self.keys.log, self.keys.seq)
        arguments: list[Any] = [FORMAT, position, tail, PAGE]
        for write in writes:
            arguments += write
        status, base, total, entries = self.server.eval(STEP, keys, arguments, read_only=not writes)
        match status:
            case b"ok":
                return News(base, total, entries)
            case b"forked":
                raise Forked
            case b"compacted":
                raise Compacted
            case b"format":
                raise DamagedData(
                    f"the study {self.study_id} at {self.server.shown} has format {quoted(entries[0].decode())}: "
                    "a newer release of qwf_async wrote it; read it with that one"
                )
            case _ if self.server.call(self.keys.gone, "EXISTS", self.keys.gone, expect=is_number):
                raise StudyRemoved(f"the study {self.study_id} at {self.server.shown} was removed")
            case _ if position:
                raise Forked
            case _:
                raise KeyError(f"no study with id {self.study_id} at {self.server.shown}")

    def read(self, lane: int, *, with_finished: bool = True) -> tuple[Replica, int]:
        """The study as it is now, and how many of its entries were trimmed away. Raises as `step`.

        Without the trials that finished among those it is quickly read, and has all of the study but trials.
        """
        while True:
            replica = Replica(lane)
            try:
                trimmed, done = self.read_trimmed(with_finished=with_finished)
                restore(replica, trimmed, done)
                base = trimmed.position
                while True:
                    news = self.step(replica.position, replica.tail)
                    replica.apply(news.entries)
                    if replica.position >= news.total:
                        return replica, base
            except (Forked, Compacted):
                continue  # it was changed between two pages

    def compact(self, replica: Replica, base: int) -> bool:
        """Let whole trials and what is unfinished stand for all entries that the replica has, and trim these away.

        `base` is how many were trimmed away before. Returns False if another process was first.
        """
        live, done = compacted(replica, base)
        arguments: list[Any] = [FORMAT, base, replica.position, replica.tail, live, *done]
        keys = (self.keys.head, self.keys.log, self.keys.done)
        return bool(self.server.eval(COMPACT, keys, arguments))

    def read_trimmed(self, *, with_finished: bool = True) -> tuple[TrimmedAway, list[bytes]]:
        """What stands for the entries that were trimmed away. It holds if a step from its position succeeds then."""
        head = self.server.call(
            self.keys.head, "HMGET", self.keys.head, "base", "tail", "live", expect=is_texts_or_none
        )
        base = TrimmedAway(int(head[0] or 0), head[1] or b"", head[2] or b"")
        done: list[bytes] = []
        while (
            with_finished
            and base.position
            and (
                page := self.server.call(
                    self.keys.done,
                    "LRANGE",
                    self.keys.done,
                    len(done),
                    len(done) + PAGE - 1,
                    expect=is_texts,
                )
            )
        ):
            done += page
        return base, done
