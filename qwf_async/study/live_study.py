"""One study as one process has it open: its replica, kept up with the log, and what this process writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import entry
from .compaction import AFTER
from .healing import heal
from .replica import Replica
from .server_log import Compacted, Forked, ServerLog, Written


class LiveStudy:
    """A study that is open. Not safe for threads: the storage has one lock."""

    def __init__(self, log: ServerLog, lane: int, replica: Replica, base: int) -> None:
        self.study_id = log.study_id
        self.replica = replica
        self._log = log
        self._lane = lane
        self._base = base
        self._sequence = 0

    @classmethod
    def open(cls, log: ServerLog, lane: int) -> LiveStudy:
        """The study as it is now. Raises KeyError if there is none."""
        return cls(log, lane, *log.read(lane))

    @classmethod
    def create(cls, log: ServerLog, lane: int, first: dict[str, Any]) -> LiveStudy | None:
        """A new study, with what its first entry says. None if its id is taken."""
        raw = entry.entry(entry.STUDY, 0, lane, 1, first)
        if not log.create(Written(lane, 1, raw)):
            return None
        study = cls(log, lane, Replica(lane), 0)
        study._sequence = 1
        study.refresh()
        return study

    def refresh(self) -> None:
        """Apply what the log has and the replica has not."""
        self._exchange(())

    def write(self, kind: int, trial_id: int, *rest: Any) -> None:
        """Append an entry. When it returns, the entry is stored and applied, with all that came before it.

        Raises TypeError if the rest is no JSON, and then nothing is written.
        """
        raw = entry.entry(kind, trial_id, self._lane, self._sequence + 1, *rest)
        self._sequence += 1
        self._exchange((Written(self._lane, self._sequence, raw),))

    def _exchange(self, writes: Sequence[Written]) -> None:
        """Write, and apply all news."""
        has_written = bool(writes)
        while True:
            try:
                news = self._log.step(self.replica.position, self.replica.tail, writes)
            except Compacted:
                self.replica, self._base = self._log.read(self._lane)
                continue
            except Forked:
                self.replica, self._base = heal(self._log, self.replica)
                continue
            self._base = news.base
            self.replica.apply(news.entries)
            if self.replica.position >= news.total:
                break
            writes = ()
        if has_written and news.total - news.base >= AFTER and news.total % AFTER < len(news.entries):
            self._compact()

    def _compact(self) -> None:
        if self._log.compact(self.replica, self._base):
            self._base = self.replica.position
