"""What a process has given to trials that it runs, and writes with its next entry: a step less for each.

It is seen in this process at once. It is lost if the process is killed in that moment, with a trial
that never finished.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from . import entry
from .replica import Replica
from .server_log import Written
from .trial_record import TrialRecord
from .whole_trial import Parameter

SAMPLERS_OWN: Final = "tpe:relative_params"
"""Beginning of the names of attributes that wait, too: in them a sampler notes parameters that it is about to give."""

Next = Callable[..., Written]
"""Makes the next entry of this process, of kind, trial id and rest."""


class Ahead:
    """Parameters and attributes that wait. They are written until `sent` says that they are stored."""

    def __init__(self) -> None:
        self._parameters: dict[int, list[Parameter]] = {}
        self._attributes: list[tuple[int, str, Any]] = []
        self._packed: list[Written] = []
        self._shown: dict[int, list[Parameter | tuple[str, Any]]] = {}

    def __bool__(self) -> bool:
        return bool(self._shown)

    def set_parameter(self, record: TrialRecord, parameter: Parameter) -> None:
        """Give a trial a parameter."""
        self._show(record, parameter)
        self._parameters.setdefault(record.trial_id, []).append(parameter)

    def set_attribute(self, record: TrialRecord, key: str, value: Any) -> None:
        """Give a trial an attribute of Optuna."""
        self._show(record, (key, value))
        self._attributes.append((record.trial_id, key, value))

    def take(self, trial_id: int) -> list[Parameter] | None:
        """The parameters that wait for a trial, for an entry that is to have them; None if there are none."""
        return self._parameters.pop(trial_id, None)

    def give_back(self, trial_id: int, parameters: list[Parameter]) -> None:
        """Let them wait again."""
        self._parameters[trial_id] = parameters

    def pack(self, make: Next) -> tuple[Written, ...]:
        """The entries that stand for all that waits: one for all parameters of a trial."""
        for trial_id, key, value in self._attributes:
            self._packed.append(make(entry.SYSTEM_ATTRIBUTE, trial_id, key, value))
        for trial_id, parameters in self._parameters.items():
            self._packed.append(make(entry.PARAMETERS, trial_id, parameters))
        self._attributes.clear()
        self._parameters.clear()
        return tuple(self._packed)

    def sent(self) -> None:
        """All is stored that was packed, and taken."""
        self._packed.clear()
        for shown in self._shown.values():
            shown.clear()
        self._shown.clear()

    def show_in(self, replica: Replica) -> None:
        """Show it in a replica that was read anew."""
        for trial_id, shown in self._shown.items():
            if trial_id in replica.records:
                replica.records[trial_id].ahead = shown

    def _show(self, record: TrialRecord, what: Parameter | tuple[str, Any]) -> None:
        self._shown[record.trial_id] = record.ahead
        record.ahead.append(what)
