"""SOURCE on the command line: text in, a source out.

psi.npy                      a file, see `files` for their formats
hydrogen:n=3,l=2,m=1         an analytic state with its parameters
my_module:psi                a function of t, x, y, z
evolve:potential=barrier,k=2 a state propagated in a potential, see `evolve.text`
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast, get_args, get_type_hints

from ..checked import checked
from ..errors import InvalidInput, UsageError
from ..lattice.grid import Grid
from ..optional import first_line
from ..wording import option, quoted
from .analytic.free import gaussian, plane
from .analytic.hydrogen import hydrogen
from .analytic.oscillator import coherent, harmonic
from .analytic.state import DEFAULT_EDGE
from .analytic.well import box as well
from .base import Source
from .callable import FunctionSource, function
from .formats.files import files
from .formats.locator import named, stem
from .parameters import AXES, SINGLE, Kind

STATES: Final[Mapping[str, Callable[..., Source]]] = {
    "box": well,
    "coherent": coherent,
    "gaussian": gaussian,
    "harmonic": harmonic,
    "hydrogen": hydrogen,
    "plane": plane,
}
"""Analytic states by name. Their parameters are read off their signatures."""

EVOLVE: Final = "evolve"
"""The word of a time evolution, whose parameters depend on its parts."""

OLD_HASH: Final = "redis-hash"
"""The word of a hash of the old project, which is on a server."""

_SIZES: Final = re.compile(r"[+-]?[0-9]{1,18}(x[+-]?[0-9]{1,18})*")
_CALLABLE: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@checked
def open_source(
    text: str,
    *,
    grid: str | None = None,
    box: str | None = None,
    frames: int | None = None,
    dt: float | None = None,
    dims: str | None = None,
) -> Source:
    """The source that SOURCE names, with the grid that the options --grid, --box, --frames, --dt, --dims describe.

    `grid`: "128" (a cube) or "128x128x64"; `box`: extents in bohr, "20" or "20x20x10";
    `dt`: time step in ħ/Eh; `dims`: which dimension of a file is which axis, "x,y,z,t" in
    their order, or by name "lon=x,time=t". The caller closes what is returned.
    Raises UsageError for an option that is no grid or box at all, or that a file has no
    use for; InvalidInput for an unknown source or parameter, a value that cannot be
    read or is impossible, or a file that cannot be used.
    """
    name, colon, rest = text.partition(":")
    extents = None if box is None else extents_of(box)
    if _is_file(text):
        if grid is not None or frames is not None:
            given = option("grid" if grid is not None else "frames")
            raise UsageError(f"{given} cannot be given for {text}: a file has its own number of points")
        return files(text, dims=dims, box=extents, dt=dt)
    if dims is not None and name != EVOLVE:
        raise UsageError(f"{option('dims')} cannot be given for {text}: it is for the dimensions of a file")
    if name == OLD_HASH:
        raise InvalidInput(
            f"{text} is on a server, and is opened with one: qwf ingest, verify or estimate, or qwf_async.open_old_hash"
        )
    if name not in STATES and name != EVOLVE and not _CALLABLE.fullmatch(text):
        raise InvalidInput(_unknown(text, name))
    sizes = (DEFAULT_EDGE,) * 3 if grid is None else _sizes(grid)
    points = Grid.of(sizes, box=extents, frames=1 if frames is None else frames, dt=dt)
    if name == EVOLVE:
        from .evolve.text import read_evolution

        return read_evolution(rest, points, dims=dims)
    if name not in STATES:
        return open_function(text, points)
    if colon and not rest:
        raise InvalidInput(f"{text!r} ends in a colon: write {name}, or {name}:parameter=value")
    return STATES[name](**arguments(name, STATES[name], rest), grid=points)


def old_hash_of(text: str, **options: str | int | None) -> str | None:
    """The key of a hash of the old project, if SOURCE names one: `redis-hash:KEY`.

    Raises InvalidInput if there is no key, UsageError for options (grid, frames, dims) that it has no use for.
    """
    name, _, key = text.partition(":")
    if name != OLD_HASH:
        return None
    if not key:
        raise InvalidInput(f"{text}: write {OLD_HASH}:KEY, the key of a hash of the old project")
    for name, value in options.items():
        if value is not None:
            raise UsageError(
                f"{option(name)} cannot be given for {text}: its fields say which points there are"
            )
    return key


@checked
def default_name(text: str) -> str:
    """The name that data of this SOURCE gets if none is given: a file's stem, a hash's key, else the first word.

    Characters that names cannot have become "-".
    """
    word, _, rest = text.partition(":")
    if _is_file(text):
        word = stem(text) or Path(text).stem
    elif word == OLD_HASH:
        word = rest or word
    return re.sub(r"[^A-Za-z0-9._-]", "-", word)[:128]


def arguments(name: str, make: Callable[..., Any], text: str) -> dict[str, Any]:
    """Arguments for `make` from "key=value,key=value", by the annotations of its parameters.

    Raises InvalidInput for a parameter that is unknown, missing, given twice, or whose
    value cannot be read; the message says what is accepted.
    """
    given: dict[str, str] = {}
    for word in text.split(",") if text else ():
        key, equals, value = word.partition("=")
        if not equals:
            raise InvalidInput(f"{name}: {word!r} must be written as parameter=value")
        if key in given:
            raise InvalidInput(f"{name}: {key} is given twice")
        given[key] = value
    hints = get_type_hints(make, include_extras=True)
    found: dict[str, Any] = {}
    accepted: list[str] = []
    for parameter in inspect.signature(make).parameters.values():
        if parameter.name == "grid":
            continue
        kind = _kind(hints[parameter.name])
        accepted.append(f"{parameter.name} ({kind.accepts})")
        texts = {key: given.pop(key) for key in keys_of(parameter.name) if key in given}
        if texts:
            found[parameter.name] = _value(name, parameter.name, kind, texts)
        elif parameter.default is parameter.empty:
            raise InvalidInput(f"{name}: {parameter.name} is missing: give {kind.accepts}")
    if given:
        raise InvalidInput(
            f"{name} has no parameter {next(iter(given))!r}; it takes {', '.join(accepted)}; "
            f"points and extents are given by {', '.join(map(option, ('grid', 'box', 'frames')))} and {option('dt')}"
        )
    return found


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


def keys_of(parameter: str) -> Sequence[str]:
    """The keys under which a parameter may be given: for all axes, and axis by axis."""
    return (parameter, *_by_axis(parameter))


def _by_axis(parameter: str) -> Sequence[str]:
    """How the parameter is called for each axis: kx, ky, kz for k; x0, y0, z0 for x0."""
    if parameter == "x0":
        return [f"{axis}0" for axis in AXES]
    return [parameter + axis for axis in AXES]


def _kind(annotation: Any) -> Kind:
    return next((a for a in get_args(annotation) if hasattr(a, "accepts")), None) or SINGLE[annotation]


def _is_file(text: str) -> bool:
    name, colon, _ = text.partition(":")
    if name in STATES or (colon and name in (EVOLVE, OLD_HASH)):
        return bool(colon) and text.endswith(".npy") and name in STATES
    return named(text) is not None or os.sep in text


def _sizes(text: str) -> tuple[int, ...]:
    if not _SIZES.fullmatch(text):
        raise UsageError(f"{option('grid')} {quoted(text)} is no grid: write 128, or 128x128x64")
    sizes = tuple(int(word) for word in text.split("x"))
    return sizes * 3 if len(sizes) == 1 else sizes


def extents_of(text: str) -> tuple[float, ...]:
    """Extents in bohr from "20" or "20x20x10". Raises UsageError if the text is none."""
    try:
        return tuple(float(word) for word in text.split("x"))
    except ValueError as error:
        raise UsageError(f"{option('box')} {quoted(text)} is no box: write 20, or 20x20x10 (bohr)") from error


def open_function(text: str, points: Grid) -> FunctionSource:
    """A wavefunction written as module:function. Raises InvalidInput if there is no such function, or it fails."""
    found = imported(text, "a function of t, x, y, z", unknown=_unknown(text, text.partition(":")[0]))
    try:
        return replace(function(found, grid=points), spec=text)
    except InvalidInput as error:
        raise InvalidInput(f"{text}: {error}") from error


def imported(text: str, what: str, *, unknown: str) -> Callable[..., Any]:
    """What module:attribute names, imported. Raises InvalidInput if that fails, or it is not `what`.

    `unknown` is what is said if there is no such module.
    """
    module, _, attribute = text.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # a console command lacks the current directory; `python -m` has it
    try:
        found = functools.reduce(getattr, attribute.split("."), importlib.import_module(module))
    except ModuleNotFoundError as error:
        raise InvalidInput(f"{unknown} ({first_line(error)})") from error
    except (Exception, SystemExit) as error:  # importing runs the user's code: it may raise anything
        raise InvalidInput(
            f"{text} cannot be imported: {type(error).__name__}: {first_line(error)}"
        ) from error
    if not callable(found):
        raise InvalidInput(f"{text} is not {what}")
    return cast("Callable[..., Any]", found)


def _unknown(text: str, word: str) -> str:
    near = difflib.get_close_matches(word, [*STATES, EVOLVE, OLD_HASH], n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return (
        f"unknown source {text!r}{hint}: a source is a .npy file (or .npz, .h5, .zarr, .nc, .cube, .raw), "
        f"module:function, {OLD_HASH}:KEY, {EVOLVE}, or one of {', '.join(STATES)}"
    )
