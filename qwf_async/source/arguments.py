"""The arguments of a SOURCE written as text: keys and values, and callables imported by name.

A source or a potential is a plain callable. The annotations of its parameters say what may be
written after its name, as in `hydrogen:n=3,l=2`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast, get_args, get_type_hints

from ..errors import InvalidInput
from ..lattice.unit_system import HARTREE, UnitSystem
from ..optional import first_line
from ..wording import option
from .parameters import AXES, SINGLE, Kind


def arguments(
    name: str,
    make: Callable[..., Any],
    text: str,
    *,
    units: UnitSystem = HARTREE,
    dimensions: int = 3,
) -> dict[str, Any]:
    """Arguments for `make` from "key=value,key=value", by the annotations of its parameters, in atomic units.

    In the text the numbers are in `units`, each by what it is. `dimensions` are those of the grid.
    Raises InvalidInput for a parameter that is unknown, missing or given twice, and for a value
    that cannot be read; the message says what is accepted.
    """
    texts = words_of(name, text)
    hints = get_type_hints(make, include_extras=True)
    result: dict[str, Any] = {}
    accepted: list[str] = []
    for parameter in inspect.signature(make).parameters.values():
        if parameter.name == "grid":
            continue
        kind = _kind(hints[parameter.name])
        accepted.append(f"{parameter.name} ({kind.accepts})")
        own = {key: texts.pop(key) for key in keys_of(parameter.name) if key in texts}
        if own:
            factor = units.in_atomic_units(kind.quantity, dimensions)
            result[parameter.name] = _scaled(_value(name, parameter.name, kind, own), factor)
        elif parameter.default is parameter.empty:
            raise InvalidInput(f"{name}: {parameter.name} is missing: give {kind.accepts}")
    if texts:
        raise InvalidInput(
            f"{name} has no parameter {next(iter(texts))!r}; it takes {', '.join(accepted)}; "
            f"points and extents are given by {', '.join(map(option, ('grid', 'box', 'frames')))} and {option('dt')}"
        )
    return result


def words_of(name: str, text: str) -> dict[str, str]:
    """The values of "key=value,key=value" as text, by key. Raises InvalidInput for other text, or a key given twice."""
    texts: dict[str, str] = {}
    for word in text.split(",") if text else ():
        key, equals, value = word.partition("=")
        if not equals:
            raise InvalidInput(f"{name}: {word!r} must be written as parameter=value")
        if key in texts:
            raise InvalidInput(f"{name}: {key} is given twice")
        texts[key] = value
    return texts


def keys_of(parameter: str) -> Sequence[str]:
    """The keys under which a parameter may be given: for all axes, and axis by axis."""
    return (parameter, *_by_axis(parameter))


def imported(text: str, what: str, *, unknown: str) -> Callable[..., Any]:
    """The callable that module:attribute names. Raises InvalidInput if it cannot be imported, or is not `what`.

    `unknown` is the message if there is no such module.
    """
    module, _, attribute = text.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # a console command lacks the current directory; `python -m` has it
    try:
        value = functools.reduce(getattr, attribute.split("."), importlib.import_module(module))
    except ModuleNotFoundError as error:
        raise InvalidInput(f"{unknown} ({first_line(error)})") from error
    except (Exception, SystemExit) as error:  # importing runs the user's code: it may raise anything
        raise InvalidInput(
            f"{text} cannot be imported: {type(error).__name__}: {first_line(error)}"
        ) from error
    if not callable(value):
        raise InvalidInput(f"{text} is not {what}")
    return cast("Callable[..., Any]", value)


def _value(name: str, parameter: str, kind: Kind, texts: Mapping[str, str]) -> Any:
    keys = _by_axis(parameter)
    try:
        if tuple(texts) == (parameter,):
            return kind.parse(texts[parameter])
        if set(texts) <= set(keys):
            return kind.join({keys.index(key): value for key, value in texts.items()})
    except ValueError as error:
        shown = ",".join(f"{key}={value}" for key, value in texts.items())
        raise InvalidInput(f"{name}: {shown} cannot be read; {parameter} is {kind.accepts}") from error
    raise InvalidInput(f"{name}: {parameter} is given both for all axes and axis by axis")


def _scaled(value: Any, factor: float) -> Any:
    """A number, or a tuple of numbers, in another unit."""
    if factor == 1:
        return value
    return tuple(v * factor for v in value) if isinstance(value, tuple) else value * factor


def _by_axis(parameter: str) -> Sequence[str]:
    """The keys of a parameter for each axis: kx, ky, kz for k; x0, y0, z0 for x0."""
    if parameter == "x0":
        return [f"{axis}0" for axis in AXES]
    return [parameter + axis for axis in AXES]


def _kind(annotation: Any) -> Kind:
    return next((a for a in get_args(annotation) if hasattr(a, "accepts")), None) or SINGLE[annotation]
