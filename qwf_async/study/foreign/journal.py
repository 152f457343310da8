"""A log of Optuna's JournalStorage, read from its beginning: the state that its entries lead to.

What an entry does is decided as JournalStorage decides it, by the order of the log alone. Nothing
is taken from the snapshot that JournalStorage keeps beside its log, for that is a pickle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from sys import intern
from typing import Any, Final

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ...errors import DamagedData
from ...optional import first_line
from ...wording import quoted
from ..whole_trial import distribution_of
from .found import ForeignStudy, Found
from .lost_entries import Entry, lost_beginnings

BEGINNING_LOST: Final = "qwf:beginning_lost"
"""The system attribute of a trial whose first entry is lost: when it began, and what it was given, is not known."""

_NONSENSE = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)
"""What an entry raises that is not as JournalStorage writes it."""


def read_journal(
    entries: Callable[[], Iterable[Entry | None]], *, where: str, may_lack: bool = True
) -> Found:
    """The studies of a log. `entries` reads it from its beginning; an entry that is lost is None.

    If it `may_lack` entries before its end, it is read twice. Raises DamagedData if an entry makes no
    sense, or if it cannot be told to which trials later entries belong after some were lost; `where`
    names the log.
    """
    lost = lost_beginnings(entries(), where=where) if may_lack else {}
    journal = _Journal()
    for number, entry in enumerate(entries()):
        if entry is None:
            journal.lose(lost.get(number, 0))
            continue
        try:
            journal.apply(entry)
        except _NONSENSE as error:
            raise DamagedData(
                f"entry {number:,} of {where} is not as Optuna writes it ({first_line(error)}): "
                f"{quoted(entry)}"
            ) from error
    left_out = sum(study is None for study in journal.study_of)
    note = (
        f"{left_out:,} trials of {where} lost their first entry and were left out: their study is not known"
    )
    return Found(studies=journal.studies(), notes=[note] if left_out else [])


class _Journal:
    """The state of a log. The methods that apply an operation are in the order of its code."""

    def __init__(self) -> None:
        self._studies: dict[int, ForeignStudy] = {}
        self._trials: list[FrozenTrial] = []
        self.study_of: list[ForeignStudy | None] = []
        self._next_study = 0
        self._distributions: dict[tuple[int, str], BaseDistribution] = {}
        self._operations: tuple[Callable[[Entry], None], ...] = (
            self._create_study,
            self._delete_study,
            self._set_study_user_attr,
            self._set_study_system_attr,
            self._create_trial,
            self._set_param,
            self._set_state,
            self._set_intermediate_value,
            self._set_user_attr,
            self._set_system_attr,
            lambda entry: None,  # trials that samplers need not keep in memory: they are kept
        )

    def apply(self, entry: Entry) -> None:
        """Do what an entry says. Raises one of `_NONSENSE` if it is not as JournalStorage writes it."""
        code = _natural(entry["op_code"])
        if code >= len(self._operations):
            raise ValueError(f"operation {code} is of a newer Optuna")
        self._operations[code](entry)

    def lose(self, beginnings: int) -> None:
        """Count trials whose first entries are lost. With one study in the log it is known where they belong."""
        study = next(iter(self._studies.values())) if len(self._studies) == 1 else None
        for _ in range(beginnings):
            trial = self._new_trial(study, TrialState.RUNNING)
            trial.system_attrs[BEGINNING_LOST] = True

    def studies(self) -> list[ForeignStudy]:
        """The studies that were not deleted."""
        for trial in self._trials:
            if trial.state.is_finished() and trial.datetime_start is None:
                trial.datetime_start = trial.datetime_complete
        return list(self._studies.values())

    def _create_study(self, entry: Entry) -> None:
        name, directions = entry["study_name"], [StudyDirection(number) for number in entry["directions"]]
        if not isinstance(name, str) or not directions:
            raise ValueError("a study needs a name and a direction")
        if all(study.name != name for study in self._studies.values()):
            self._studies[self._next_study] = ForeignStudy(name=name, directions=directions)
            self._next_study += 1

    def _delete_study(self, entry: Entry) -> None:
        self._studies.pop(_natural(entry["study_id"]), None)

    def _set_study_user_attr(self, entry: Entry) -> None:
        if study := self._studies.get(_natural(entry["study_id"])):
            study.user_attrs.update(entry["user_attr"])

    def _set_study_system_attr(self, entry: Entry) -> None:
        if study := self._studies.get(_natural(entry["study_id"])):
            study.system_attrs.update(entry["system_attr"])

    def _create_trial(self, entry: Entry) -> None:
        study_id = _natural(entry["study_id"])
        study = self._studies.get(study_id)
        if study is None:
            return
        distributions = {
            intern(name): distribution_of(text) for name, text in entry.get("distributions", {}).items()
        }
        params = {
            intern(name): distributions[name].to_external_repr(value)
            for name, value in entry.get("params", {}).items()
        }
        if params.keys() != distributions.keys():
            raise ValueError("each parameter has a distribution")
        value = entry.get("value")
        values = _numbers(entry.get("values") if value is None else [value])
        reports = {int(step): _number(value) for step, value in entry.get("intermediate_values", {}).items()}
        begin, complete = _local(entry["datetime_start"]), _local(entry.get("datetime_complete"))
        trial = self._new_trial(study, TrialState(entry.get("state", TrialState.RUNNING)))
        trial.datetime_start, trial.datetime_complete = begin, complete
        trial.values = values
        trial.params, trial.distributions = params, distributions
        trial.user_attrs.update(entry.get("user_attrs", {}))
        trial.system_attrs.update(entry.get("system_attrs", {}))
        trial.intermediate_values = reports
        for name, distribution in distributions.items():
            self._distributions.setdefault((id(study), name), distribution)

    def _set_param(self, entry: Entry) -> None:
        for trial in self._unfinished(entry):
            name, distribution = intern(entry["param_name"]), distribution_of(entry["distribution"])
            value = distribution.to_external_repr(_number(entry["param_value_internal"]))
            study = self.study_of[trial._trial_id]
            first = self._distributions.setdefault((id(study), name), distribution)
            if _are_compatible(first, distribution):
                trial.params[name], trial.distributions[name] = value, distribution

    def _set_state(self, entry: Entry) -> None:
        for trial in self._unfinished(entry):
            state, values = TrialState(entry["state"]), _numbers(entry["values"])
            if state is TrialState.RUNNING:
                if trial.state is state and trial.datetime_start is not None:
                    return  # another took it from the queue before
                trial.datetime_start = _local(entry["datetime_start"])
            elif state.is_finished():
                trial.datetime_complete = _local(entry["datetime_complete"])
            trial.state = state
            if values is not None:
                trial.values = values

    def _set_intermediate_value(self, entry: Entry) -> None:
        for trial in self._unfinished(entry):
            trial.intermediate_values[_natural(entry["step"])] = _number(entry["intermediate_value"])

    def _set_user_attr(self, entry: Entry) -> None:
        for trial in self._unfinished(entry):
            trial.user_attrs.update(_interned(entry["user_attr"]))

    def _set_system_attr(self, entry: Entry) -> None:
        for trial in self._unfinished(entry):
            trial.system_attrs.update(_interned(entry["system_attr"]))

    def _unfinished(self, entry: Entry) -> Iterator[FrozenTrial]:
        """The trial of an entry, if there is one that may still change."""
        trial_id = _natural(entry["trial_id"])
        if trial_id < len(self._trials) and not self._trials[trial_id].state.is_finished():
            yield self._trials[trial_id]

    def _new_trial(self, study: ForeignStudy | None, state: TrialState) -> FrozenTrial:
        trial = FrozenTrial(
            number=len(study.trials) if study else 0,
            state=state,
            value=None,
            datetime_start=None,
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
            trial_id=len(self._trials),
        )
        self._trials.append(trial)
        self.study_of.append(study)
        if study:
            study.trials.append(trial)
        return trial


def _are_compatible(first: BaseDistribution, distribution: BaseDistribution) -> bool:
    if first is distribution:
        return True
    try:
        check_distribution_compatibility(first, distribution)
    except ValueError:
        return False
    return True


def _natural(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise ValueError(f"{quoted(number)} is no number of a trial, study, step or operation")
    return number


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{quoted(value)} is no number")
    return float(value)


def _numbers(values: Any) -> list[float] | None:
    return None if values is None else [_number(value) for value in values]


def _interned(attributes: dict[str, Any]) -> dict[str, Any]:
    return {intern(name): value for name, value in attributes.items()}


def _local(time: str | None) -> datetime | None:
    """A time of the log, which is in UTC, as FrozenTrial has it: local and without its zone."""
    return None if time is None else datetime.fromisoformat(time).astimezone().replace(tzinfo=None)
