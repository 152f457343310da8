"""One study as one process has it open: its replica, kept up with the log, and what this process writes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from . import entry
from .ahead import Ahead
from .compaction import AFTER
from .healing import heal
from .replica import Replica
from .server_log import Compacted, Forked, ServerLog, Written


class LiveStudy:
    """A study that is open. Not safe for threads: the storage has one lock.

    `on_loss` is called when the server had lost something of it, and has got it back.
    """

    def __init__(self, log: ServerLog, replica: Replica, base: int) -> None:
        self.study_id = log.study_id
        self.replica = replica
        self._log = log
        self._base = base
        self.ahead = Ahead()
        self.begun_at = -math.inf
        self.on_loss: Callable[[], object] = lambda: None
        self._sequence = 0

    @classmethod
    def open(cls, log: ServerLog) -> LiveStudy:
        """The study as it is now. Raises KeyError if there is none."""
        return cls(log, *log.read(entry.new_lane()))

    @classmethod
    def create(cls, log: ServerLog, first: dict[str, Any]) -> LiveStudy | None:
        """A new study, with what its first entry says. None if its id is taken."""
        lane = entry.new_lane()
        raw = entry.entry(entry.STUDY, 0, lane, 1, first)
        if not log.create(Written(lane, 1, raw)):
            return None
        return cls.open(log)

    @property
    def lane(self) -> int:
        """The lane by which this process writes."""
        return self.replica.lane

    def take_another_lane(self) -> None:
        """Write by another lane, before anything was written: a process before had the same by chance."""
        self.replica.lane = entry.new_lane()

    def refresh(self) -> None:
        """Write what waits, and apply what the log has and the replica has not."""
        self._exchange(self.ahead.pack(self._next) if self.ahead else ())

    def write(self, kind: int, trial_id: int, *rest: Any) -> None:
        """Append an entry. When it returns, the entry is stored and applied, with all that came before it.

        Raises TypeError if the rest is no JSON, and then nothing is written. A state takes parameters with it.
        """
        parameters = self.ahead.take(trial_id) if kind == entry.STATE else None
        try:
            if parameters is not None:
                rest = (*rest, parameters)
            waiting = self.ahead.pack(self._next)
            self._exchange((*waiting, self._next(kind, trial_id, *rest)))
        except BaseException:
            if parameters is not None:
                self.ahead.give_back(trial_id, parameters)
            raise

    def flush(self) -> None:
        """Write what waits for the next exchange."""
        if self.ahead:
            self.refresh()

    def _next(self, kind: int, trial_id: int, *rest: Any) -> Written:
        """The next entry of this process."""
        raw = entry.entry(kind, trial_id, self.lane, self._sequence + 1, *rest)
        self._sequence += 1
        return Written(self.lane, self._sequence, raw)

    def _adopt(self, replica: Replica, base: int) -> None:
        """Go on with a replica that was read anew."""
        self.ahead.show_in(replica)
        self.replica, self._base = replica, base

    def _exchange(self, writes: Sequence[Written]) -> None:
        """Write, and apply all news."""
        has_written = bool(writes)
        while True:
            try:
                news = self._log.step(self.replica.position, self.replica.tail, writes)
            except Compacted:
                self._adopt(*self._log.read(self.lane))
                continue
            except Forked:
                self._adopt(*heal(self._log, self.replica))
                self.on_loss()
                continue
            self._base = news.base
            self.replica.apply(news.entries)
            if self.replica.position >= news.total:
                break
            writes = ()
        if self.ahead:
            self.ahead.sent()
        if has_written and news.total - news.base >= AFTER and news.total % AFTER < len(news.entries):
            self._compact()

    def _compact(self) -> None:
        if self._log.compact(self.replica, self._base):
            self._base = self.replica.position
