"""One study as one process has it open: its replica, kept up with the log, and what this process writes.

While the server is away the replica is that of this host, and what is written goes into the host's file.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from optuna.trial import TrialState

from ..errors import OutOfMemory, Refused, ServerUnavailable, SpoolFull
from . import entry
from .ahead import Ahead
from .away import CREATES, Away
from .compaction import AFTER
from .healing import heal
from .host_file import HostFile
from .host_studies import HostStudies
from .merging import merge
from .replica import Replica
from .server_log import Compacted, Forked, ServerLog, Written
from .standing import Standing

_KEPT: Final = 5_000
"""Entries that a process keeps for the file of the host where no copy of the log is kept."""

logger = logging.getLogger(__name__)


class LiveStudy:
    """A study that is open. Not safe for threads: the storage has one lock.

    `known` is the study as its log was when this process last looked, `away` the episode in which this host does
    without the server. `on_loss` is called when the server may have lost something of it, and has got it back.
    """

    def __init__(
        self, log: ServerLog, known: Replica, base: int, host: HostStudies, standing: Standing
    ) -> None:
        self.study_id = log.study_id
        self.known = known
        self.away: Away | None = None
        self.ahead = Ahead()
        self.begun_at = -math.inf
        self.on_loss: Callable[[], object] = lambda: None
        self._log = log
        self._base = base
        self._host = host
        self._standing = standing
        self._sequence = 0
        self._shown: dict[int, int] = {}
        self._before: Away | None = None
        self._owed: Replica | None = None
        self._unmarked: list[tuple[int, int]] = []
        self._trim_at = _KEPT

    @property
    def replica(self) -> Replica:
        """The study as it is to this process: as the log has it, or as this host has it while the server is away."""
        return self.known if self.away is None else self.away.replica

    @property
    def file(self) -> HostFile:
        """The file of the study on this host. Raises as `HostStudies.file`."""
        return self._host.file(self.study_id, self.known.name)

    @property
    def has_file(self) -> bool:
        """Whether this process has the file open."""
        return self._host.is_open(self.study_id)

    @property
    def keeps_copy(self) -> bool:
        """Whether the log is to be copied into the file."""
        return self._host.keep_copy

    @property
    def lane(self) -> int:
        """The lane by which this process writes."""
        return self.known.lane

    def take_another_lane(self) -> None:
        """Write by another lane, before anything was written: a process before had the same by chance."""
        self.known.lane = entry.new_lane()

    def refresh(self) -> None:
        """Write what waits, and apply what the log has and the replica has not."""
        self._exchange(self.ahead.pack(self._next) if self.ahead else ())

    def write(self, kind: int, trial_id: int, *rest: Any) -> None:
        """Append an entry. When it returns, the entry is stored and applied, with all that came before it.

        It is stored on the server, or in the file of this host while the server is away. A state takes
        parameters with it. Raises TypeError if the rest is no JSON, and then nothing is written; what the
        file of the host raises.
        """
        _ = self.file  # so that it is there when it is needed
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

    def may_take(self, trial_id: int) -> bool:
        """Whether a trial that waits may be taken now: while the server is away, another host may have it."""
        return self.away is None or trial_id in self.away.made

    def refuse_if_away(self, why: str) -> None:
        """Raise ServerUnavailable, with a reason, if this host does without the server."""
        if self.away is not None:
            raise ServerUnavailable(f"{self._log.server.shown} is away: {why}")

    def go_away(self, *, claimed: int | None = None) -> None:
        """Go on without the server, with the other jobs of this host. Raises as `Away`."""
        self.away = Away(
            self.file, self.known, keep_copy=self.keeps_copy, before=self._before, claimed=claimed
        )
        self._before = None
        if self.away.known is not self.known:
            self._owed = self._owed or self.known
            self.known = self.away.known
        self.ahead.show_in(self.replica)
        self._standing.turn(self.study_id, "offline")
        self._standing.overlay_path = self.file.path

    def merge(self) -> None:
        """Bring to the server what this host wrote while it was away, and go on there.

        Raises what the link and the file raise; then the server is still away.
        """
        if self.away is None:
            return
        self._standing.turn(self.study_id, "merging")
        try:
            self.known, merged = merge(
                self._log, self.known, self.away, self.file, keep_copy=self._host.keep_copy
            )
        except BaseException:
            self._standing.turn(self.study_id, "offline")
            raise
        self._standing.merged += merged
        self.file.copy.note()
        self._come_back()

    def give_up(self) -> None:
        """Forget what this host wrote while it was away: the study was removed on purpose."""
        self._host.remove(self.study_id)
        self._come_back()

    def _come_back(self) -> None:
        """Go on with the server, which has all of the episode."""
        self._before, self.away = self.away, None
        self.ahead.show_in(self.replica)
        self._standing.turn(self.study_id, "online")
        self.on_loss()

    def _next(self, kind: int, trial_id: int, *rest: Any) -> Written:
        """The next entry of this process."""
        raw = entry.entry(kind, trial_id, self.lane, self._sequence + 1, *rest)
        self._sequence += 1
        return Written(self.lane, self._sequence, raw)

    def _exchange(self, writes: Sequence[Written]) -> None:
        """Write, and apply all news."""
        self._pass_on(writes)
        if self.ahead:
            self.ahead.sent()
        if self.known.is_renumbered and self.away is None:
            self._correct_numbers()

    def show(self, trial_id: int, *, is_taken: bool = False) -> None:
        """Remember the number that a trial of this process is shown with: one that it made, or has taken."""
        self._shown[trial_id] = number = self.replica.records[trial_id].number
        if is_taken:
            with suppress(SpoolFull):
                self.file.shown.mark(number)

    def _correct_numbers(self) -> None:
        """Note of trials of this process the numbers that they were shown with, if others did not know better."""
        self.known.is_renumbered = False
        records = self.known.records
        numbers = [
            (trial_id, records[trial_id].number, number)
            for trial_id, number in self._shown.items()
            if trial_id in records
            and number != records[trial_id].number
            and number != records[trial_id].noted_as
        ]
        if numbers:
            self._pass_on((self._next(entry.NUMBERS, 0, numbers, 1),))

    def _pass_on(self, writes: Sequence[Written]) -> None:
        """Write, and apply all news, to the server or to this host's file."""
        in_flight = False
        while True:
            if self.away is not None:
                if self.away.write(writes, in_flight=in_flight) if writes else self.away.refresh():
                    return
                self._come_back()
            try:
                self._step(writes)
            except ServerUnavailable as error:
                logger.info("study %s: %s", self.known.name, error)
                self.go_away()
                writes, in_flight = self._without_taking(writes), True
            else:
                self._note_numbers(writes)
                return

    def _step(self, writes: Sequence[Written]) -> None:
        """Write to the log, and apply all its news."""
        has_written = bool(writes)
        if self._owed is not None:  # it may have known of more than the copy that took its place
            self.known, self._base = heal(self._log, self._owed)
            self._owed = None
            self.ahead.show_in(self.replica)
        while True:
            try:
                news = self._log.step(self.known.position, self.known.tail, writes)
            except Compacted:
                self.known, self._base = self._log.read(self.lane)
                self.ahead.show_in(self.replica)
                continue
            except Forked:
                known = self.known if self._before is None else self._before.replica
                self.known, self._base = heal(self._log, known)
                self.ahead.show_in(self.replica)
                self.on_loss()
                continue
            self._base = news.base
            self.known.apply(news.entries)
            if self.known.position >= news.total:
                break
            writes = ()
        self._before = None
        self._trim()
        if has_written and news.total - news.base >= AFTER and news.total % AFTER < len(news.entries):
            self._compact()

    def _compact(self) -> None:
        try:
            if self._log.compact(self.known, self._base):
                self._base = self.known.position
        except (Refused, OutOfMemory) as error:  # what was to be written is stored all the same
            logger.warning("the log of the study %s is not trimmed: %s", self.known.name, error)

    def _without_taking(self, writes: Sequence[Written]) -> Sequence[Written]:
        """Give a trial back that this process was about to take: nobody knows whether it has it."""
        kept = []
        for write in writes:
            if write.raw[2] == entry.STATE and (fields := entry.fields(write.raw))[4] == TrialState.RUNNING:
                kept.append(self._next(entry.STATE, fields[1], int(TrialState.WAITING), None, fields[6]))
            else:
                kept.append(write)
        return kept

    def _note_numbers(self, writes: Sequence[Written]) -> None:
        """Note that this host was shown the numbers of new trials. If another job was shown one first, get another."""
        trials = [entry.trial_of(write.raw) for write in writes if write.raw[2] in CREATES]
        self._unmarked += [(trial_id, self.known.records[trial_id].number) for trial_id in trials]
        try:
            while self._unmarked:
                trial_id, number = self._unmarked[-1]
                is_free = self.file.shown.mark(number)
                self._unmarked.pop()
                if not is_free and trial_id in trials and not self._give_back(trial_id, number):
                    self.go_away(claimed=trial_id)
        except SpoolFull as error:
            logger.warning("%s", error)  # the trial is stored: the number is noted when there is room

    def _give_back(self, trial_id: int, number: int) -> bool:
        """Give the number of a new trial to the one that was shown it, and take that one's. Returns whether it did.

        Else each number that was shown in an outage, and was not kept, would be met again, one after the other.
        """
        renumbered = self.known.renumbered
        shown = {asked_as for _, asked_as in renumbered.values()}
        for other, (present, asked_as) in renumbered.items():
            if asked_as == number and present != number and present not in shown:
                numbers = [(other, number, None), (trial_id, present, None)]
                with suppress(ServerUnavailable):
                    self._step((self._next(entry.NUMBERS, 0, numbers, 1),))
                return self.known.records[trial_id].number == present
        return False

    def _trim(self) -> None:
        """Drop entries that the host has copied: the last are kept in case the server goes away."""
        recent = self.known.recent
        if len(recent) < self._trim_at:
            return
        file = self._host.existing(self.study_id) if self._host.keep_copy else None
        kept = self.known.position - file.copy.noted() if file else _KEPT
        del recent[: max(len(recent) - max(kept, 0), 0)]
        self._trim_at = len(recent) + _KEPT
