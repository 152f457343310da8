"""A search space in a file: the parameters that a study is asked for, by name.

A JSON object or a TOML table for each parameter, with `type` and what it needs:

    float        low, high, and log or step
    int          low, high, and log or step
    categorical  choices: texts, numbers, true and false, and null
"""

from __future__ import annotations

import json
import sys
import tomllib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ..errors import InvalidInput
from ..host.small_files import read_small_file
from ..wording import quoted

KEYS: Final[dict[str, tuple[set[str], set[str]]]] = {
    "float": ({"low", "high"}, {"log", "step"}),
    "int": ({"low", "high"}, {"log", "step"}),
    "categorical": ({"choices"}, set()),
}
"""Type of a parameter → the keys that it must have besides, and those that it may have."""


def read_space(path: Path) -> dict[str, BaseDistribution]:
    """Name of a parameter → its distribution, in the order of a file: TOML if it is named so, else JSON.

    Raises InvalidInput, which names the file and the parameter, for what cannot be used.
    """
    try:
        text = read_small_file(path).decode("utf-8-sig")
        toml = path.suffix.lower() == ".toml"
        document = tomllib.loads(text) if toml else json.loads(text, object_pairs_hook=_without_repeats)
    except (OSError, ValueError, RecursionError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise InvalidInput(f"the space in {path} cannot be used: {reason}") from error
    if not isinstance(document, Mapping) or not document:
        raise InvalidInput(f'the space in {path} names no parameter: write {{"x": {{"type": "float", …}}}}')
    space = {}
    for name, entry in document.items():
        try:
            with warnings.catch_warnings(category=UserWarning, action="error"):
                space[name] = distribution_of(entry)
        except (
            InvalidInput,
            ValueError,
            UserWarning,
        ) as error:  # Optuna warns where it takes another bound than the given
            raise InvalidInput(f"the parameter {quoted(name)} in {path}: {error}") from error
    return space


def distribution_of(entry: object) -> BaseDistribution:
    """The distribution that an entry of a space describes. Raises InvalidInput or ValueError, which say why not."""
    if not isinstance(entry, Mapping):
        raise InvalidInput(f"{quoted(entry)} is no table with type, and low and high or choices")
    kind = entry.get("type")
    if not isinstance(kind, str) or kind not in KEYS:
        raise InvalidInput(f"type must be one of {', '.join(KEYS)}, not {quoted(kind)}")
    needed, possible = KEYS[kind]
    if missing := needed - entry.keys():
        raise InvalidInput(f"{' and '.join(sorted(missing))} missing")
    if unknown := entry.keys() - needed - possible - {"type"}:
        raise InvalidInput(
            f"unknown key {quoted(min(unknown))}: of {kind} are known {_listed(needed | possible)}"
        )
    if kind == "categorical":
        return CategoricalDistribution(_choices(entry["choices"]))
    log = entry.get("log", False)
    if not isinstance(log, bool):
        raise InvalidInput(f"log must be true or false, not {quoted(log)}")
    number = _whole if kind == "int" else _finite
    low, high = number("low", entry["low"]), number("high", entry["high"])
    step = number("step", entry["step"]) if entry.get("step") is not None else None
    if low > high:
        raise InvalidInput(f"low = {low} is above high = {high}")
    if kind == "int":
        return IntDistribution(int(low), int(high), log=log, step=1 if step is None else int(step))
    return FloatDistribution(low, high, log=log, step=step)


def _choices(choices: object) -> list[Any]:
    if not isinstance(choices, list) or not choices:
        raise InvalidInput(f"choices must be a list that is not empty, not {quoted(choices)}")
    for choice in choices:
        if not (choice is None or isinstance(choice, str | int | float)) or choice != choice:
            raise InvalidInput(f"{quoted(choice)} is no choice: a text, a number, true, false or null")
    return choices


def _finite(key: str, value: object) -> float:
    # An integer may be beyond all floats.
    fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    if not fits:
        raise InvalidInput(f"{key} must be a finite number, not {quoted(value)}")
    return float(value)  # type: ignore[arg-type] # it fits


def _whole(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**53:
        raise InvalidInput(f"{key} must be a whole number of at most 2⁵³, not {quoted(value)}")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{quoted(twice)} is there twice")
    return dict(pairs)


def _listed(keys: set[str]) -> str:
    return ", ".join(sorted(keys))
