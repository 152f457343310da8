r"""The file of an export: whole studies as lines of JSON, and at the end a checksum.

    {"format": "qwf-studies", "version": 1, "written": time, "studies": number}
    {"study": name, "directions": ["minimize"], "trials": number, "user_attrs": {}, "system_attrs": {}}
    [trial id, number, state, values, begin, end, [[parameter, value, distribution], …], user_attrs, system_attrs,
     [[step, value], …]]
    {"end": number of studies, "trials": number in all, "xxh3": XXH3-64 of the bytes before this line}

After the line of a study come its trials, in the order of their numbers, which are 0, 1, 2, …. A state is a
number of `optuna.trial.TrialState`, a parameter's value Optuna's internal one, a distribution Optuna's
text of it, a time ISO 8601 without a zone. NaN and the infinities stand as Python's json writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Final

import xxhash
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from ..errors import DamagedData, InvalidInput
from ..optional import first_line
from ..wording import quoted
from .entry import to_json
from .renumbered import numbered_record
from .whole_trial import trial_from

_FORMAT: Final = "qwf-studies"
_VERSION: Final = 1
_MAX_LINE: Final = 512 << 20
"""Bytes of a line at most: what a server takes as one value."""

_NONSENSE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What a line raises that is not of the form above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the line of a study says."""

    name: str
    directions: tuple[StudyDirection, ...]
    trials: int
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, line: dict[str, Any]) -> Head:
        """Raises one of `_NONSENSE`."""
        head = cls(
            name=line["study"],
            directions=tuple(StudyDirection[str(word).upper()] for word in line["directions"]),
            trials=_natural(line["trials"]),
            user_attrs=line["user_attrs"],
            system_attrs=line["system_attrs"],
        )
        if not isinstance(head.name, str) or not head.directions:
            raise ValueError("a study has a name and a direction")
        if not isinstance(head.user_attrs, dict) or not isinstance(head.system_attrs, dict):
            raise TypeError("attributes are an object")
        return head

    def line(self) -> dict[str, Any]:
        """The inverse of `parse`."""
        return {
            "study": self.name,
            "directions": [direction.name.lower() for direction in self.directions],
            "trials": self.trials,
            "user_attrs": self.user_attrs,
            "system_attrs": self.system_attrs,
        }


class StudyWriter:
    """Writes an export to a file that is open."""

    def __init__(self, file: BinaryIO, studies: int) -> None:
        self._file = file
        self._sum = xxhash.xxh3_64()
        self._studies = self._trials = 0
        self._line(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "written": datetime.now().isoformat(),
                "studies": studies,
            }
        )

    def study(self, head: Head, trials: Iterable[FrozenTrial]) -> None:
        """Write a study, with its trials in the order of their numbers. Raises TypeError if it holds no JSON."""
        self._line(head.line())
        for number, trial in enumerate(trials):
            self._line([trial._trial_id, *numbered_record(trial, number)[:-1]])
            self._trials += 1
        self._studies += 1

    def end(self) -> None:
        """Write the last line."""
        self._line({"end": self._studies, "trials": self._trials, "xxh3": self._sum.hexdigest()})

    def _line(self, value: Any) -> None:
        raw = to_json(value).encode() + b"\n"
        self._sum.update(raw)
        self._file.write(raw)


class StudyReader:
    """Reads an export from a file that is open. `shown` names it in messages."""

    def __init__(self, file: BinaryIO, shown: str) -> None:
        self._file = file
        self._shown = shown
        self._number = 0

    def check(self) -> list[Head]:
        """Read the whole file, and return what it says of its studies.

        Raises InvalidInput if it is no export, or one of a newer release, and DamagedData if anything
        in it is not as it was written.
        """
        heads = []
        for head, trials in self.studies():
            heads.append(head)
            for _ in trials:
                pass
        if len({head.name for head in heads}) < len(heads):
            raise self._damaged("two studies have one name")
        return heads

    def studies(self) -> Iterator[tuple[Head, Iterator[tuple[int, list[Any]]]]]:
        """Each study, and its trials: id, and the record of it as `whole_trial.record_of` makes it.

        The trials are to be read before the next study. Raises as `check`, for the checksum only at the end.
        """
        self._file.seek(0)
        self._number = 0
        checksum = xxhash.xxh3_64()
        studies = self._first(checksum)
        total = 0
        for _ in range(studies):
            line = self._line(checksum)
            try:
                head = Head.parse(line)
            except _NONSENSE as error:
                raise self._damaged(_why(error)) from error
            trials = self._trials(head, checksum)
            yield head, trials
            total += head.trials
            if next(trials, None) is not None:
                raise AssertionError("the trials were not read")
        expected = {"end": studies, "trials": total, "xxh3": checksum.hexdigest()}
        if self._line(checksum) != expected or self._file.read(1):
            raise self._damaged("counts and checksum do not fit what stands before them")

    def _first(self, checksum: xxhash.xxh3_64) -> int:
        """The number of studies."""
        raw = self._file.readline(4096)
        self._number = 1
        checksum.update(raw)
        try:
            line = json.loads(raw)
            is_export, version = line["format"] == _FORMAT, line["version"]
        except _NONSENSE:
            is_export = False
        if not is_export:
            raise InvalidInput(f"{self._shown} is no export of studies")
        if version != _VERSION:
            raise InvalidInput(
                f"{self._shown} has format {quoted(version)}: a newer release of qwf_async wrote it; "
                "read it with that one"
            )
        try:
            return _natural(line["studies"])
        except _NONSENSE as error:
            raise self._damaged(_why(error)) from error

    def _trials(self, head: Head, checksum: xxhash.xxh3_64) -> Iterator[tuple[int, list[Any]]]:
        ids: set[int] = set()
        for number in range(head.trials):
            line = self._line(checksum)
            try:
                trial_id, *record = line
                record.append(None)  # the owner
                _check(trial_id, record, number)
            except _NONSENSE as error:
                raise self._damaged(_why(error)) from error
            if trial_id in ids:
                raise self._damaged("another trial has the same id")
            ids.add(trial_id)
            yield trial_id, record

    def _line(self, checksum: xxhash.xxh3_64) -> Any:
        """The JSON of the next line. It counts for the checksum unless it is the last."""
        raw = self._file.readline(_MAX_LINE)
        self._number += 1
        if not raw:
            raise self._damaged("the file ends too early")
        try:
            line = json.loads(raw)
        except _NONSENSE as error:
            raise self._damaged(_why(error)) from error
        if not (isinstance(line, dict) and "end" in line):
            checksum.update(raw)
        return line

    def _damaged(self, what: str) -> DamagedData:
        return DamagedData(f"line {self._number:,} of {self._shown} is damaged: {what}")


def _check(trial_id: Any, record: list[Any], number: int) -> None:
    """Raises one of `_NONSENSE` unless it is of the types that Optuna relies on."""
    trial = trial_from(record, _natural(trial_id), number)
    if record[0] != number:
        raise ValueError(f"trial {number} has the number {quoted(record[0])}")
    for attributes in (trial.user_attrs, trial.system_attrs):
        if not isinstance(attributes, dict):
            raise TypeError(f"the attributes of trial {number} are no object")
    for step in trial.intermediate_values:
        _natural(step)
    for value in (*(trial.values or ()), *trial.intermediate_values.values()):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"trial {number} has {quoted(value)} for a value")


def _natural(number: Any) -> int:
    if type(number) is not int or not 0 <= number < 1 << 53:
        raise ValueError(f"{quoted(number)} is no number of studies or trials, no id and no step")
    return number


def _why(error: BaseException) -> str:
    return f"no {error} there" if isinstance(error, KeyError) else first_line(error)
