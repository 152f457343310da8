"""A source from its text: SOURCE of the command line.

psi.npy                      A file; `files` lists the formats.

hydrogen:n=3,l=2,m=1         An analytic state with its parameters.

my_module:psi                A function of t, x, y, z.

evolve:potential=barrier,k=2 A state propagated in a potential, see `evolve.from_text`.

eigen:potential=harmonic,n=3 The lowest eigenstates of a potential, see `stationary.from_text`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..checked import checked
from ..errors import InvalidInput, UsageError
from ..lattice.grid import Grid
from ..lattice.unit_system import HARTREE, UnitSystem, unit_system
from ..wording import option, quoted
from .analytic import STATES
from .analytic.formula import DEFAULT_EDGE
from .arguments import arguments
from .base import Source
from .callable import open_function
from .evolve.from_text import StoredInitial, read_evolution, stored_initial
from .evolve.initial import InitialFrame
from .formats.files import files
from .formats.locator import locate, stem
from .in_units import in_units
from .parameters import values_of
from .stationary.from_text import read_eigen
from .words import EIGEN, EVOLVE, OLD_HASH, unknown_source

_SIZES: Final = re.compile(r"[+-]?[0-9]{1,18}(x[+-]?[0-9]{1,18})*")
_CALLABLE: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@checked
def open_source(
    text: str,
    *,
    grid: str | Grid | None = None,
    box: str | float | Sequence[float] | None = None,
    frames: int | None = None,
    dt: float | None = None,
    dims: str | None = None,
    stored: InitialFrame | None = None,
    units: str | None = None,
) -> Source:
    """The source that SOURCE names, with the grid that the options --grid, --box, --frames, --dt, --dims describe.

    `grid`: "128" (a cube), "128x128x64" or a Grid; `box`: extents in bohr, "20" or "20x20x10" or numbers;
    `dt`: time step in ħ/Eh; `dims`: which dimension of a file is which axis, "x,y,z,t" in
    their order, or by name "lon=x,time=t"; `stored`: the frame of a stored wavefunction with which an
    evolution begins (`qwf_async.stored_frame`). With `units` "eV/nm/fs" the numbers of the text, `box`
    and `dt` are in eV, nm, fs, ħ/nm and 1/fs, and so are the axes; masses are in electron masses.
    What a function gets and returns is in atomic units always. The caller closes the source.
    Raises UsageError for a text that is no grid or no box, or an option that does not apply to
    this source. Raises InvalidInput for an unknown source or parameter, a value that cannot be
    read or is impossible, or a file that cannot be used.
    """
    system = HARTREE if units is None else unit_system(units)
    extents = extents_of(box) if isinstance(box, str) else None if box is None else values_of(box)
    source = _open(
        text,
        grid,
        None if extents is None else tuple(extent * system.in_bohr for extent in extents),
        frames,
        None if dt is None else dt * system.in_atomic_time,
        dims,
        stored,
        system,
    )
    return source if system is HARTREE else in_units(source, system)


def _open(
    text: str,
    grid: str | Grid | None,
    extents: tuple[float, ...] | None,
    frames: int | None,
    dt: float | None,
    dims: str | None,
    stored: InitialFrame | None,
    units: UnitSystem,
) -> Source:
    """`open_source` with extents and time step in atomic units; numbers in the text are in `units`."""
    name, colon, rest = text.partition(":")
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
    if name not in STATES and name not in (EIGEN, EVOLVE) and not _CALLABLE.fullmatch(text):
        raise InvalidInput(unknown_source(text))
    if isinstance(grid, Grid):
        points = grid if extents is None else grid.with_box(extents)
        points = points if dt is None else points.with_time_step(dt)
    else:
        sizes = (DEFAULT_EDGE,) * 3 if grid is None else _sizes(grid)
        points = Grid.of(sizes, box=extents, frames=1 if frames is None else frames, dt=dt)
    if name == EVOLVE:
        return read_evolution(
            rest, points, sized=grid is not None, extents=extents, dims=dims, stored=stored, units=units
        )
    if name == EIGEN:
        return read_eigen(rest, points, units)
    if name not in STATES:
        return open_function(text, points)
    if colon and not rest:
        raise InvalidInput(f"{text!r} ends in a colon: write {name}, or {name}:parameter=value")
    return STATES[name](**arguments(name, STATES[name], rest, units=units), grid=points)


def old_hash_of(text: str, **options: str | int | None) -> str | None:
    """The key of a hash of the old project if SOURCE names one as `redis-hash:KEY`, else None.

    Raises InvalidInput if there is no key, UsageError for options (grid, frames, dims) that do not apply to it.
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


def is_on_server(text: str) -> bool:
    """Whether SOURCE is opened with a store: a hash of the old project, or a run that begins with what is stored.

    Raises InvalidInput if the text cannot be read.
    """
    return old_hash_of(text) is not None or stored_initial_of(text) is not None


def stored_initial_of(text: str, units: str | None = None) -> StoredInitial | None:
    """The stored wavefunction with which SOURCE begins, if it is an evolution of one; see `evolve.from_text`."""
    name, _, rest = text.partition(":")
    if name != EVOLVE:
        return None
    return stored_initial(rest, HARTREE if units is None else unit_system(units))


@checked
def default_name(text: str) -> str:
    """The default name for the data of this SOURCE: a file's stem, a hash's key, else the first word.

    A character that a name cannot have becomes "-".
    """
    word, _, rest = text.partition(":")
    if _is_file(text):
        word = stem(text) or Path(text).stem
    elif word == OLD_HASH:
        word = rest or word
    return re.sub(r"[^A-Za-z0-9._-]", "-", word)[:128]


def _is_file(text: str) -> bool:
    """Whether SOURCE names a file. The word of a state does only if a colon and a .npy file follow it."""
    name, colon, _ = text.partition(":")
    if name in STATES or (colon and name in (EIGEN, EVOLVE, OLD_HASH)):
        return bool(colon) and text.endswith(".npy") and name in STATES
    return locate(text) is not None or os.sep in text


def _sizes(text: str) -> tuple[int, ...]:
    """Points along x, y, z from "128" (a cube) or "128x128x64"."""
    if not _SIZES.fullmatch(text):
        raise UsageError(f"{option('grid')} {quoted(text)} is no grid: write 128, or 128x128x64")
    sizes = tuple(int(word) for word in text.split("x"))
    return sizes * 3 if len(sizes) == 1 else sizes


def extents_of(text: str) -> tuple[float, ...]:
    """Extents in bohr from "20" or "20x20x10". Raises UsageError for any other text."""
    try:
        return tuple(float(word) for word in text.split("x"))
    except ValueError as error:
        raise UsageError(f"{option('box')} {quoted(text)} is no box: write 20, or 20x20x10 (bohr)") from error
