"""What a replica holds of one trial: its entries as bytes, from which a FrozenTrial is made when somebody asks."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Final

from optuna.trial import FrozenTrial, TrialState

from ..errors import DamagedData
from ..wording import quoted
from . import entry
from .whole_trial import Parameter, distribution_of, record_of, time_of, trial_from

ASKED_AS: Final = "qwf:asked_as"
"""The system attribute that holds the number which a trial was shown first, if it has another now."""


_RUNNING: Final = TrialState.RUNNING
_WAITING: Final = TrialState.WAITING


class TrialRecord:
    """One trial. A FrozenTrial that was handed out is never changed: the next is a copy.

    `owner` is the lane that runs it. `is_provisional` means that another took its owner for dead, and
    `hides_failure` that this process is the owner, to which the trial still runs; `failed_by` is the lane
    that did so.
    `finished_at` is the position in the log behind the entry that finished it; 0 until then. `ahead` is
    what this process has given it and will write with its next entry: parameters, and attributes of Optuna.
    """

    __slots__ = (
        "_frozen", "_seen", "ahead", "asked_as", "failed_by", "finished_at", "hides_failure", "is_provisional",
        "number", "owner", "raws", "state", "trial_id",
    )  # fmt: skip

    def __init__(self, trial_id: int, number: int, owner: int, state: TrialState, raw: bytes) -> None:
        self.trial_id = trial_id
        self.number = number
        self.owner = owner
        self.state = state
        self.raws = [raw]
        self.is_provisional = False
        self.hides_failure = False
        self.failed_by = 0
        self.finished_at = 0
        self.asked_as: int | None = None
        self.ahead: list[Parameter | tuple[str, Any]] = []
        self._frozen: FrozenTrial | None = None
        self._seen = 0

    @property
    def shown_state(self) -> TrialState:
        """The state that Optuna is told."""
        return TrialState.RUNNING if self.is_provisional and self.hides_failure else self.state

    @property
    def is_final(self) -> bool:
        """Whether it is finished, and nothing can change that."""
        state = (
            self.state
        )  # `is_finished` of Optuna takes four times as long, and this is asked for every entry
        return state is not _RUNNING and state is not _WAITING and not self.is_provisional

    def copy(self) -> TrialRecord:
        """A record that may change while this one does not."""
        twin = copy.copy(self)
        twin.raws = self.raws.copy()  # `ahead` is of the process: it is the same in all its replicas
        return twin

    @property
    def noted_as(self) -> int | None:
        """The number that is noted as the one it was shown with."""
        noted: int | None = self._as_written().system_attrs.get(ASKED_AS)
        return noted

    @property
    def first_number(self) -> int:
        """The number with which it was written: for all that is known, it was shown with that."""
        if self.raws[0][2] == entry.WHOLE:
            number: int | None = entry.fields(self.raws[0])[4]
            return self.number if number is None else number
        return self.number

    def renumber(self, number: int, asked_as: int | None) -> None:
        """Give it another number, and note the one that it was shown with, if that is another."""
        self.number = number
        self.asked_as = asked_as
        self._frozen, self._seen = None, 0

    def frozen(self) -> FrozenTrial:
        """The trial as it is now. Not to be changed by the caller."""
        try:
            trial = self._as_written()
        except entry.UNREADABLE as error:
            raise DamagedData(f"an entry of trial {self.number} cannot be read: {quoted(error)}") from error
        if not self.ahead:
            return trial
        draft = _Draft(trial)
        for what in self.ahead:
            draft.take(what)
        return draft.trial

    def _as_written(self) -> FrozenTrial:
        """The trial as its entries have it."""
        trial = self._frozen
        if trial is None:
            trial, self._seen = self._first(), 1
            if self.asked_as is not None:
                trial._system_attrs[ASKED_AS] = self.asked_as
            self._frozen = trial
        if self._seen < len(self.raws):
            draft = _Draft(trial)
            for raw in self.raws[self._seen :]:
                draft.apply(raw)
            draft.trial.state = self.shown_state
            if not draft.trial.state.is_finished():
                draft.trial.datetime_complete = None
            trial = self._frozen = draft.trial
            self._seen = len(self.raws)
        return trial

    def whole(self) -> tuple[Any, ...]:
        """What an entry of kind M holds of it."""
        owner = None if self.owner == entry.lane_of_trial(self.trial_id) else self.owner
        number, _, *rest = record_of(self.frozen(), self.number, owner)
        return number, int(self.state), *rest

    def _first(self) -> FrozenTrial:
        """The trial as its first entry has it."""
        kind, _, _, _, *rest = entry.fields(self.raws[0])
        if kind == "M":
            return trial_from(rest, self.trial_id, self.number)
        begun = [None, int(TrialState.RUNNING), None, rest[0], None, [], {}, {}, [], None]
        return trial_from(begun, self.trial_id, self.number)


class _Draft:
    """A copy of a trial, to which entries are applied. Its dictionaries are copied when they are first changed."""

    def __init__(self, trial: FrozenTrial) -> None:
        self.trial = FrozenTrial.__new__(FrozenTrial)  # copy.copy takes ten times as long
        self.trial.__dict__.update(trial.__dict__)
        self._own: set[str] = set()

    def apply(self, raw: bytes) -> None:
        """Do what an entry of kind P, T, F, I, u, s or M says."""
        trial = self.trial
        kind, _, _, _, *rest = entry.fields(raw)
        match kind:
            case "P":
                self.set_parameters(rest[0])
            case "T":
                state, values, time, *parameters = rest
                if parameters:
                    self.set_parameters(parameters[0])
                if values is not None:
                    trial.values = values
                if state == TrialState.RUNNING:
                    trial.datetime_start = time_of(time)
                elif TrialState(state).is_finished():
                    trial.datetime_complete = time_of(time)
            case "F":
                trial.datetime_complete = time_of(rest[0])
            case "I":
                self._writable("intermediate_values")[rest[0]] = rest[1]
            case "u":
                self._writable("_user_attrs")[rest[0]] = rest[1]
            case "s":
                self._writable("_system_attrs")[rest[0]] = rest[1]
            case "M":
                self._fill(rest)

    def _fill(self, record: list[Any]) -> None:
        """Take from a whole trial what this one lacks; and how it ended, if that is what it says."""
        trial = self.trial
        other = trial_from(record, trial._trial_id, trial.number)
        if other.state.is_finished():
            trial.values, trial.datetime_complete = other.values, other.datetime_complete
        trial.datetime_start = trial.datetime_start or other.datetime_start
        for name in ("_params", "_distributions", "_user_attrs", "_system_attrs", "intermediate_values"):
            there = self._writable(name)
            for key, value in getattr(other, name).items():
                there.setdefault(key, value)

    def take(self, ahead: Parameter | tuple[str, Any]) -> None:
        """Enter what is not written yet."""
        if len(ahead) == 3:
            self.set_parameters((ahead,))
        else:
            self._writable("_system_attrs")[ahead[0]] = ahead[1]

    def set_parameters(self, parameters: Iterable[Parameter]) -> None:
        """Enter parameters."""
        distributions, values = self._writable("_distributions"), self._writable("_params")
        for name, internal, text in parameters:
            distribution = distributions[name] = distribution_of(text)
            values[name] = distribution.to_external_repr(internal)

    def _writable(self, name: str) -> dict[Any, Any]:
        if name not in self._own:
            setattr(self.trial, name, dict(getattr(self.trial, name)))
            self._own.add(name)
        found: dict[Any, Any] = getattr(self.trial, name)
        return found
