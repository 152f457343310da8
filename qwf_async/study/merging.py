"""What this host wrote while the server was away is brought to the server.

The entries are pushed as they are, in their order; the server leaves out what it has. Then the numbers
are settled. To do so twice, or from several processes at once, changes nothing more. The
episode ends within a transaction of the file, after a last look: until then all jobs of the host write
there, and none of them is on the server with a later entry than those of the file.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import takewhile
from typing import Final

import xxhash
from optuna.trial import TrialState

from . import entry
from .away import Away
from .copying import copy_anew, extend_copy
from .healing import heal
from .host_file import HostFile, OverlayRow
from .replica import Replica
from .server_log import Compacted, Forked, ServerLog, Written
from .settling import settled_numbers
from .trial_record import TrialRecord
from .whole_trial import record_of

LATE_RESULT: Final = "qwf:late_result_of"
"""The system attribute of a trial that holds a result of another, whose id it names: that was finished already."""

_BATCH: Final = 500
_FEW: Final = 100
"""Rows that are pushed while the other jobs of the host wait."""


def merge(
    log: ServerLog, known: Replica, away: Away, file: HostFile, *, keep_copy: bool
) -> tuple[Replica, int]:
    """Bring all of the episode to the server, and end it.

    Returns the study as the server has it then, and how many entries were brought. `known` is what this
    process knows of the log, and is brought forward. If another process has ended the
    episode, that is all. Raises what the link and the file raise: then the episode goes on.
    """
    while True:
        try:
            return _Merge(log, known, away, file, keep_copy).run()
        except Compacted:
            known, _ = log.read(known.lane)
        except Forked:
            away.refresh()
            known, _ = heal(log, away.replica)
            if keep_copy:
                copy_anew(log, file, in_episode=True)


class _Merge:
    def __init__(self, log: ServerLog, known: Replica, away: Away, file: HostFile, keep_copy: bool) -> None:
        self._log = log
        self._known = known
        self._away = away
        self._file = file
        self._keep_copy = keep_copy
        self._pushed = 0

    def run(self) -> tuple[Replica, int]:
        merged = self._file.pending()
        self._send(())
        while len(rows := self._file.news(self._pushed)) > _FEW:
            # A queued trial is to be taken here or from the server, not in both places.
            before = list(takewhile(lambda row: not _is_queued(row.raw), rows))
            if not before:
                break
            self._push(before)
        with self._file.writing():
            if self._file.episode() == self._away.episode:
                self._push(self._file.news(self._pushed))
                rows = self._file.news(0)
                self._add_late_results(rows)
                self._settle(rows)
                if self._keep_copy:
                    extend_copy(self._file, self._known)
                self._file.close_episode()
        return self._known, merged

    def _push(self, rows: Sequence[OverlayRow]) -> None:
        self._send([Written(row.lane, row.sequence, row.raw) for row in rows])
        if rows:
            self._pushed = rows[-1].n

    def _send(self, writes: Sequence[Written]) -> None:
        """Append entries to the log, and apply all that is new there."""
        for begin in range(0, max(len(writes), 1), _BATCH):
            news = self._log.step(self._known.position, self._known.tail, writes[begin : begin + _BATCH])
            self._known.apply(news.entries)
            while self._known.position < news.total:
                news = self._log.step(self._known.position, self._known.tail)
                self._known.apply(news.entries)

    def _settle(self, rows: Sequence[OverlayRow]) -> None:
        """Give each trial the number that it was shown, where one of these trials has that."""
        records = self._known.records
        wanted = {entry.trial_of(row.raw): row.number for row in rows if row.number is not None}
        for trial_id in wanted:  # what a job had seen of others' trials is not what these were shown
            if (shown := records[trial_id].noted_as) is not None:
                wanted[trial_id] = shown
        present = {trial_id: records[trial_id].number for trial_id in wanted}
        if numbers := settled_numbers(wanted, present):
            lane = entry.new_lane()
            self._send([Written(lane, 1, entry.entry(entry.NUMBERS, 0, lane, 1, numbers, 1))])
        settled = (records[trial_id].number for trial_id in wanted)
        self._file.shown.mark_all([*wanted.values(), *settled])

    def _add_late_results(self, rows: Sequence[OverlayRow]) -> None:
        """Make a new trial of each result of this host whose trial ended otherwise meanwhile."""
        self._away.refresh()
        told = {entry.trial_of(row.raw): row for row in rows if _finishes(row.raw)}
        late = [row for trial_id, row in told.items() if self._is_late(trial_id, row.raw)]
        self._send([self._late_result(row) for row in late])

    def _is_late(self, trial_id: int, result: bytes) -> bool:
        if self._known.records[trial_id].raws[-1] == result:
            return False  # as nearly always
        here, there = (replica.records[trial_id] for replica in (self._away.replica, self._known))
        return there.state.is_finished() and _outcome(here) != _outcome(there)

    def _late_result(self, row: OverlayRow) -> Written:
        """The trial as this host has it, under an id that follows from the entry: so it is made once, however often."""
        trial_id = entry.trial_of(row.raw)
        trial = copy.copy(self._away.replica.records[trial_id].frozen())
        trial.system_attrs = trial.system_attrs | {LATE_RESULT: trial_id}
        lane = xxhash.xxh3_64_intdigest(row.raw) % entry.MAX_LANE + 1
        raw = entry.entry(entry.WHOLE, entry.trial_id_of(lane, 1), lane, 1, *record_of(trial))
        return Written(lane, 1, raw)


def _is_queued(raw: bytes) -> bool:
    """Whether an entry makes a trial that waits for a job."""
    return raw[2] == entry.WHOLE and int(raw.split(b",", 6)[5]) == TrialState.WAITING


def _finishes(raw: bytes) -> bool:
    """Whether an entry says how a trial ended."""
    return raw[2] == entry.STATE and TrialState(entry.fields(raw)[4]).is_finished()


def _outcome(record: TrialRecord) -> str:
    """State and values; NaN is like NaN."""
    return entry.to_json([int(record.state), record.frozen().values])
