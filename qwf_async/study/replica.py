"""The state of a study in one process: what its log says, as far as it was read.

It is made by applying entries in the order of the log. Whoever applies the same entries has the same
state, so every conflict is decided here, by that order, and in the same way in every process.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Any, NamedTuple

from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ..errors import DamagedData
from ..wording import quoted
from . import entry
from .trial_record import TrialRecord
from .whole_trial import distribution_of

_CREATES = frozenset((entry.CREATION, entry.WHOLE))
_STUDY = frozenset((entry.STUDY, entry.STUDY_USER_ATTRIBUTE, entry.STUDY_SYSTEM_ATTRIBUTE))
_PLACE_OF_PARAMETERS = {entry.PARAMETERS: 0, entry.STATE: 3, entry.WHOLE: 5}
"""Where in the rest of an entry they are."""

_STATES = {b"%d" % state: state for state in TrialState}
_RUNNING, _WAITING, _COMPLETE = TrialState.RUNNING, TrialState.WAITING, TrialState.COMPLETE


class KnownDistribution(NamedTuple):
    """A distribution, and its text in entries."""

    distribution: BaseDistribution
    text: str


class Replica:
    """A study as its log has it up to `position` entries, of which `tail` is the last.

    `lane` is that of this process: what others say of its own trials' death is not shown to it.
    `is_renumbered` says that a trial has got another number, until the process has seen to it.
    `renumbered` holds number and number shown before of each trial whose number was given anew;
    `study_entries` the last entry of each attribute of the study, and that of the study itself.
    """

    def __init__(self, lane: int) -> None:
        self.lane = lane
        self.position = 0
        self.tail = b""
        self.recent: list[bytes] = []
        self.name = ""
        self.created = ""
        self.directions: list[StudyDirection] = []
        self.user_attrs: dict[str, Any] = {}
        self.system_attrs: dict[str, Any] = {}
        self.records: dict[int, TrialRecord] = {}
        self._by_number: list[TrialRecord] = []
        self._waiting: dict[int, TrialRecord] = {}
        self._unfinished: dict[int, TrialRecord] = {}
        self._frozen: list[FrozenTrial] = []
        self._changed: dict[int, TrialRecord] = {}
        self._is_in_order = True
        self._has_twin = False
        self.is_renumbered = False
        self._completed: list[TrialRecord] = []
        self._best: TrialRecord | None = None
        self._distributions: dict[str, KnownDistribution] = {}
        self.renumbered: dict[int, tuple[int, int | None]] = {}
        self.study_entries: dict[tuple[int, str], bytes] = {}

    def __len__(self) -> int:
        """The number of trials."""
        return len(self._by_number)

    def copy(self) -> Replica:
        """A replica that goes its own way from here.

        Trials that are finished do not change, so both have the same records of them: thirty jobs copy
        a study of 100,000 trials at once when its server goes away.
        """
        self._has_twin = True
        twin = Replica(self.lane)
        twin.__dict__.update(self.__dict__)
        twin.directions = list(self.directions)
        twin.user_attrs, twin.system_attrs = dict(self.user_attrs), dict(self.system_attrs)
        twin._frozen = list(self._frozen)
        twin.records = dict(self.records)
        twin._take_own(self._unfinished)
        twin._distributions = dict(self._distributions)
        twin.renumbered = dict(self.renumbered)
        twin.study_entries = dict(self.study_entries)
        twin.recent = []
        return twin

    def become(self, other: Replica) -> None:
        """Go on as another replica of the same study, which nobody else has."""
        self.__dict__.update(other.__dict__)

    def apply(self, raws: Iterable[bytes]) -> None:
        """Do what the next entries of the log say. Raises DamagedData at one that is none, and stays before it."""
        for raw in raws:
            self.position += 1
            self.recent.append(raw)
            try:
                self.do(raw)
            except entry.UNREADABLE as error:
                self.position -= 1
                self.recent.pop()
                raise DamagedData(
                    f"entry {self.position + 1:,} of the study {self.name!r} cannot be read: "
                    f"{quoted(raw.decode(errors='replace'))}"
                ) from error
            self.tail = raw

    def do(self, raw: bytes, number: int | None = None) -> None:
        """Do what one entry says, wherever it stands. A trial that it makes gets `number`, or else the next."""
        kind = raw[2]
        trial_id = int(
            raw[5 : raw.index(b",", 5)]
        )  # as entry.trial_of: every process does this for every entry
        if not trial_id:
            self._do_with_study(kind, raw)
            return
        record = self.records.get(trial_id)
        if record is None:
            if kind in _CREATES:
                self._make(kind, trial_id, raw, number)
            return  # else it is of a trial that no entry made: there is nothing that it could be done to
        if kind == entry.CREATION or record.is_final:
            return
        if kind == entry.STATE:
            if not self._set_state(record, raw):
                return
        elif record.is_provisional and kind != entry.WHOLE:
            if entry.writer_of(raw)[0] != record.owner:
                return
        elif kind == entry.FAILURE:
            self.take_for_dead(record, entry.writer_of(raw)[0])
            self._move(record, TrialState.FAIL)
        elif kind == entry.WHOLE:
            self._complete(record, raw)
        record.raws.append(raw)
        self._changed[trial_id] = record

    def trial(self, trial_id: int) -> FrozenTrial | None:
        """A trial by its id."""
        record = self.records.get(trial_id)
        return record.frozen() if record else None

    def numbered(self, number: int) -> TrialRecord | None:
        """A trial by its number."""
        if self._is_in_order:
            return self._by_number[number] if 0 <= number < len(self._by_number) else None
        return next((record for record in self._by_number if record.number == number), None)

    def in_order(self) -> Iterator[TrialRecord]:
        """All trials by their numbers."""
        self.put_in_order()
        return iter(self._by_number)

    def trials(self, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """All trials, or those in some states, in the order of their numbers."""
        if states == (TrialState.WAITING,):
            waiting = [record.frozen() for record in self._waiting.values()]
            return sorted(waiting) if len(waiting) > 1 else waiting
        self.put_in_order()
        if self._changed:
            for record in self._changed.values():
                trial = record.frozen()
                if record.number < len(self._frozen):
                    self._frozen[record.number] = trial
            for record in self._by_number[len(self._frozen) :]:
                self._frozen.append(record.frozen())
            self._changed.clear()
        if states is None:
            return list(self._frozen)
        return [trial for trial in self._frozen if trial.state in states]

    def count(self, states: Container[TrialState] | None = None) -> int:
        """How many trials there are, or how many in some states."""
        if states is None:
            return len(self._by_number)
        return sum(record.shown_state in states for record in self._by_number)

    def best(self) -> FrozenTrial | None:
        """The completed trial with the best value, the first of several. Of a study with one direction."""
        is_larger_better = self.directions[0] == StudyDirection.MAXIMIZE
        for record in self._completed:
            if self._best is None:
                self._best = record
                continue
            best, value = self._best.frozen().value, record.frozen().value
            if best is None or value is None:
                continue
            if (value > best) if is_larger_better else (value < best):
                self._best = record
        self._completed.clear()
        return self._best.frozen() if self._best else None

    def distribution(self, name: str) -> KnownDistribution | None:
        """The distribution that a parameter has in one of the trials. In all others it is compatible with that."""
        known = self._distributions.get(name)
        if known is None and (text := self._distribution_text(name)) is not None:
            known = self._distributions[name] = KnownDistribution(distribution_of(text), text)
        return known

    def _distribution_text(self, name: str) -> str | None:
        wanted = entry.to_json(name).encode()
        for record in reversed(self._by_number):
            for raw in record.raws:
                if raw[2] in _PLACE_OF_PARAMETERS and wanted in raw:
                    rest = entry.fields(raw)[4:]
                    place = _PLACE_OF_PARAMETERS[raw[2]]
                    for parameter, _, text in rest[place] if len(rest) > place else ():
                        if parameter == name:
                            return str(text)
        return None

    def running(self) -> list[TrialRecord]:
        """The trials that run."""
        return [record for record in self._unfinished.values() if record.shown_state is _RUNNING]

    def take_for_dead(self, record: TrialRecord, by: int) -> None:
        """Let a trial have failed unless its owner says something else; `by` is the lane that says so."""
        record.is_provisional, record.failed_by = True, by
        record.hides_failure = record.owner == self.lane
        self._unfinished[record.trial_id] = record

    def _do_with_study(self, kind: int, raw: bytes) -> None:
        rest = entry.fields(raw)[4:]
        if kind in _STUDY:
            self.study_entries[kind, "" if kind == entry.STUDY else rest[0]] = raw
        if kind == entry.STUDY:
            self.name, self.created = rest[0]["name"], rest[0]["created"]
            self.directions = [StudyDirection(direction) for direction in rest[0]["directions"]]
        elif kind == entry.STUDY_USER_ATTRIBUTE:
            self.user_attrs[rest[0]] = rest[1]
        elif kind == entry.STUDY_SYSTEM_ATTRIBUTE:
            self.system_attrs[rest[0]] = rest[1]
        elif kind == entry.NUMBERS:
            self._renumber(*rest)

    def _make(self, kind: int, trial_id: int, raw: bytes, number: int | None) -> None:
        state, owner = _RUNNING, entry.lane_of_trial(trial_id)
        if kind == entry.WHOLE:
            state = _STATES[raw.split(b",", 6)[5]]
            named = raw[raw.rindex(b",") + 1 : -1]
            owner = owner if named == b"null" else int(named)
        place = len(self._by_number) if number is None else number
        record = TrialRecord(trial_id, place, owner, state, raw)
        if place != len(self._by_number):
            self._is_in_order = False
        self.records[trial_id] = record
        self._by_number.append(record)
        self._changed[trial_id] = record
        self._unfinished[trial_id] = record
        if state is not _RUNNING:
            self._note(record)

    def _set_state(self, record: TrialRecord, raw: bytes) -> bool:
        """Do what a state says, if it may: a waiting trial runs for the first that takes it, a dead one revives.

        It waits again if its owner says so.
        """
        _, _, lane_text, _, state_text, _ = raw.split(b",", 5)
        state = _STATES[state_text]
        if record.is_provisional:
            if int(lane_text) != record.owner:
                return False
            record.is_provisional = False
        elif state is _RUNNING:
            if record.state is not _WAITING:
                return False
            record.owner = int(lane_text)
        elif state is _WAITING and int(lane_text) != record.owner:
            return False
        self._move(record, state)
        return True

    def _complete(self, record: TrialRecord, raw: bytes) -> None:
        state = _STATES[raw.split(b",", 6)[5]]
        if state.is_finished():
            record.is_provisional = False
            self._move(record, state)
        elif state is _RUNNING and record.state is _WAITING:
            self._move(record, state)

    def _move(self, record: TrialRecord, state: TrialState) -> None:
        if record.state is _WAITING:
            del self._waiting[record.trial_id]
        record.state = state
        self._note(record)

    def _note(self, record: TrialRecord) -> None:
        """Enter a trial where its state is looked up."""
        if record.state is _WAITING:
            self._waiting[record.trial_id] = record
        elif record.is_final:
            record.finished_at = self.position
            self._unfinished.pop(record.trial_id, None)
            if record.state is _COMPLETE:
                self._completed.append(record)

    def _renumber(self, numbers: list[tuple[int, int, int | None]], by_host: int = 0) -> None:
        """Give trials numbers that they have among them already. Anything else is left as it is.

        Which number a trial was shown, its host knows better than who gave a server back what it had lost.
        """
        if self._has_twin:
            self._take_own(trial_id for trial_id, _, _ in numbers if trial_id in self.records)
        named = [(self.records.get(trial_id), number, asked_as) for trial_id, number, asked_as in numbers]
        present = [record.number for record, _, _ in named if record]
        if sorted(present) != sorted(number for _, number, _ in named):
            return
        for record, number, asked_as in named:
            if record:
                if not by_host:
                    first = record.first_number
                    known = (record.noted_as, asked_as, first if first != number else None)
                    asked_as = next((each for each in known if each is not None), None)
                record.renumber(number, asked_as)
                self.renumbered[record.trial_id] = (number, asked_as)
        self._is_in_order = False
        self.is_renumbered = True

    def show_number(self, trial_id: int, number: int) -> None:
        """Show another number of a trial in this replica. The log says nothing of it."""
        self._take_own((trial_id,))
        self.records[trial_id].renumber(number, None)
        self._is_in_order = False

    def _take_own(self, trial_ids: Iterable[int]) -> None:
        """Have records of one's own of some trials, which may change while those of a twin do not."""
        records = self.records
        for trial_id in list(trial_ids):
            records[trial_id] = records[trial_id].copy()
        self._by_number = [records[record.trial_id] for record in self._by_number]
        self._completed = [records[record.trial_id] for record in self._completed]
        self._waiting = {trial_id: records[trial_id] for trial_id in self._waiting}
        self._unfinished = {trial_id: records[trial_id] for trial_id in self._unfinished}
        self._changed = {trial_id: records[trial_id] for trial_id in self._changed}
        self._best = records[self._best.trial_id] if self._best else None

    def put_in_order(self) -> None:
        """Sort the trials by their numbers, if they are not."""
        if self._is_in_order:
            return
        self._by_number.sort(key=lambda record: record.number)
        self._frozen.clear()
        self._changed = dict(self.records)
        self._is_in_order = all(record.number == place for place, record in enumerate(self._by_number))
