"""A study while its server is away: the jobs of this host go on in their common file.

What a job knows of the server's log is copied, and what the jobs write is applied to the copy, in the order of
the file. The log itself stays as it was known, until all of the file has been brought to the server.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from . import entry
from .copying import copy_known, read_copy
from .host_file import HostFile, OverlayRow
from .replica import Replica
from .server_log import Written

CREATES: Final = frozenset((entry.CREATION, entry.WHOLE))
_PAGE: Final = 5_000


class Away:
    """One episode of doing without the server, in one process. `replica` is the study as this host has it.

    `known` is what is known of the log: what the process said, or the copy in the file, if that begins later.
    `made` are the trials that this process made in it, of which the server surely knows nothing yet.
    """

    def __init__(
        self,
        file: HostFile,
        known: Replica,
        *,
        keep_copy: bool,
        before: Away | None = None,
        claimed: int | None = None,
    ) -> None:
        """Open an episode, or join that which another job opened.

        `known` is brought up to what the file has copied of the log; what it has beyond that goes into the
        file. If nothing was copied yet, with `keep_copy` all that is known takes the place of the copy.
        `before` is the last episode, if nothing was heard of the server since. `claimed` is a trial whose
        number another job of this host was shown: it gets another. Raises as `HostFile`.
        """
        self._file = file
        self._n = 0
        self._to_mark: list[int] = []
        self.made: set[int] = set()
        while not self._join(known, keep_copy, before, claimed):
            pass

    def _join(self, known: Replica, keep_copy: bool, before: Away | None, claimed: int | None) -> bool:
        """Take part in the episode that is open, or a new one. Returns False if it ended meanwhile."""
        file, number = self._file, None
        found = file.episode()
        if found is None:
            with file.writing():
                found = file.open_episode()
                if keep_copy and file.copy.base() is None:
                    copy_known(file, known)
        self.episode = found
        # Nobody adds to the copy while the episode is open, so the others need not wait while this is read.
        base = file.copy.base()
        if base is not None and base.position > known.position:
            known = read_copy(file, known.lane) or known
        if _catch_up(file, known) or before is None:
            self.replica, self._seen = known.copy(), _sequences(known.recent)
        else:
            self.replica, self._seen = before.replica, before._seen
        self.known = known
        self._places = len(known)
        with file.writing():
            if file.episode() != self.episode:
                return False
            file.append(self._rows(known))
            if claimed is not None:
                committed = [row.number for row in file.news(0) if row.number is not None]
                number = file.shown.take_lowest(self._places, committed)
                first = known.records[claimed].raws[0]
                file.append([OverlayRow(0, *entry.writer_of(first), number, first)])
                file.renumber(*entry.writer_of(first), number)
            news = file.news(0)
        if claimed is not None and number is not None:
            self.replica.show_number(claimed, number)
            self._to_mark.append(number)
        self._apply(news)
        return True

    def refresh(self) -> bool:
        """Apply what other jobs wrote. Returns False if the episode is over: the server has all of it."""
        if self._file.episode() != self.episode:
            return False
        self._apply(self._file.news(self._n))
        return True

    def write(self, writes: Sequence[Written], *, in_flight: bool = False) -> bool:
        """Write entries. When it returns True they are on the disk, and applied. False as for `refresh`.

        A new trial gets the lowest number that no job of this host was shown. `in_flight` entries may
        be on the server as well.
        """
        with self._file.writing():
            if self._file.episode() != self.episode:
                return False
            self._apply(self._file.news(self._n))
            rows = []
            for write in writes:
                number = self._number_for(write.raw) if write.raw[2] in CREATES else None
                rows.append(OverlayRow(0, write.lane, write.sequence, number, write.raw))
            n = self._file.append(rows)
            for row in rows:
                if row.number is not None and in_flight:  # another job may have written it, as it knew it
                    self._file.renumber(row.lane, row.sequence, row.number)
        self._apply(rows)
        self._n = n
        if not in_flight:
            self.made.update(entry.trial_of(write.raw) for write in writes if write.raw[2] in CREATES)
        return True

    def _number_for(self, raw: bytes) -> int:
        """The number that a trial is shown with, which no other trial of this host was. Within `HostFile.writing`.

        A trial that was in flight may be known, from a job that saw it in the log. It keeps the number
        that it has there: if it got another, that one would be shown to nobody, and all later ones be shifted.
        """
        trial_id = entry.trial_of(raw)
        records = self.replica.records
        record = records.get(trial_id)
        if record is not None:
            number = record.number
            others = (other.number for other in records.values() if other is not record)
            # A trial that is known by its place may have been shown another number: the rows say which.
            if number not in others and not self._file.is_shown_by_another(number, *entry.writer_of(raw)):
                self._file.shown.mark(number)
                return number
        number = self._file.shown.take_lowest(self._places, self._to_mark)
        self._to_mark = [number]
        if record is not None:
            self.replica.show_number(trial_id, number)
        return number

    def _apply(self, rows: Iterable[OverlayRow]) -> None:
        for row in rows:
            self._n = max(self._n, row.n)
            if row.number is not None:
                self._to_mark.append(row.number)
            if row.sequence <= self._seen.get(row.lane, 0):
                continue  # the server had it before it went away
            self._seen[row.lane] = row.sequence
            self.replica.do(row.raw, row.number)

    def _rows(self, known: Replica) -> list[OverlayRow]:
        """What this process has of the log, and neither the copy has nor the overlay, by a job that joined before."""
        behind = known.position - self._file.copy.end()[0]
        there = self._file.sequences() if behind > 0 else {}
        rows = []
        for raw in known.recent[max(len(known.recent) - behind, 0) :] if behind > 0 else ():
            lane, sequence = entry.writer_of(raw)
            record = known.records.get(entry.trial_of(raw)) if raw[2] in CREATES else None
            if sequence > there.get(lane, 0):
                rows.append(OverlayRow(0, lane, sequence, record.number if record else None, raw))
            elif record is not None and lane == known.lane:
                self._file.renumber(lane, sequence, record.number)  # who was shown the number knows it best
        return rows


def _catch_up(file: HostFile, known: Replica) -> bool:
    """Apply what the copy has beyond what is known, if it is a copy of the same log. Returns whether it is."""
    base = file.copy.base()
    if (
        base is not None and known.position < base.position
    ):  # what lies between is there as whole trials alone
        copied = read_copy(file, known.lane)
        if copied is None or not copied.records.keys() >= known.records.keys():
            return False
        known.become(copied)
        return True
    if file.copy.tail_at(known.position) != known.tail:
        return False
    while page := file.copy.read(known.position, _PAGE):
        known.apply(page)
    return True


def _sequences(raws: Iterable[bytes]) -> dict[int, int]:
    """The highest sequence number of each lane."""
    return dict(map(entry.writer_of, raws))
