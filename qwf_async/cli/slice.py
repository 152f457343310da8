"""`qwf slice` reads a part of a stored wavefunction into a file, or prints it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ..errors import UsageError
from .jobs import run_on_store
from .options import (
    JsonOption,
    NameArgument,
    OverwriteOption,
    QuietOption,
    ServerOptions,
    with_option_groups,
)
from .output import print_json, say, show
from .point import AtOption
from .stored_wavefunction import open_stored

if TYPE_CHECKING:
    import numpy as np

    from ..lattice.grid import Grid
    from ..lattice.selection import Selection
    from ..store.store import Store
    from .written_file import WrittenFile

MAX_PRINTED: Final = 10_000
"""Points that are printed; more of them go to a file."""


@with_option_groups
def slice_(
    name: NameArgument,
    index: Annotated[
        str | None,
        typer.Argument(
            help="t,x,y,z as in NumPy: integers, first:stop:step, and ... for whole axes.",
            show_default="all, with --at",
        ),
    ] = None,
    at: AtOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write a .npy file.", show_default=False),
    ] = None,
    overwrite: OverwriteOption = False,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Read a part of a wavefunction into a .npy file; or print a small one, a line re,im for each point in C order.

    \b
    Examples:
      qwf slice hydrogen 0,10:20,:,64 -o plane.npy
      qwf slice hydrogen --at t=0,z=5 -o plane.npy
    """
    if index is None and at is None:
        raise UsageError("give an index, as in 0,10:20,:,64, or --at z=5 with coordinates")
    from ..lattice.position import read_coordinates

    part = _Part(
        index=(...,) if index is None else _index(index),
        at={} if at is None else read_coordinates(at),
        quiet=quiet,
    )
    if out is None:
        _print(
            run_on_store(partial(_read, name=name, part=part), server_options, reading=True, quiet=quiet),
            as_json,
        )
        return
    from ..exporting.whole_file import check_free

    check_free(out, overwrite=overwrite)
    job = partial(_write, name=name, part=part, out=out, quiet=quiet)
    run_on_store(job, server_options, reading=True, quiet=quiet).print(as_json=as_json, quiet=quiet)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What is asked for: an index as in NumPy, and coordinates by axis."""

    index: tuple[Any, ...]
    at: Mapping[int, float]
    quiet: bool

    def of(self, grid: Grid) -> Selection:
        """The points. Raises UsageError if an axis has both; says which points are nearest to the coordinates."""
        from ..lattice.grid import AXIS_NAMES
        from ..lattice.position import nearest_point, position_text
        from ..lattice.selection import Selection

        selection = Selection.of(grid.shape, self.index)
        for axis in self.at:
            if axis not in selection.kept or selection.axes[axis] != range(grid.shape[axis]):
                name = AXIS_NAMES[axis]
                raise UsageError(f"{name} is in the index and in --at: leave it whole, as :, in the index")
        if not self.at:
            return selection
        nearest = nearest_point(grid, self.at)
        if not self.quiet:
            say(f"at {position_text(grid, nearest)}")
        return selection.at(nearest)


async def _read(store: Store, *, name: str, part: _Part) -> np.ndarray[Any, Any]:
    psi = await open_stored(store, name)
    selection = part.of(psi.manifest.grid)
    if selection.points > MAX_PRINTED:
        raise UsageError(
            f"{selection.points:,} points are more than are printed ({MAX_PRINTED:,}): give -o FILE.npy"
        )
    return await psi.read_selection(selection)


async def _write(store: Store, *, name: str, part: _Part, out: Path, quiet: bool) -> WrittenFile:
    from ..exporting.npy_selection import write_npy
    from .written_file import write_values

    psi = await open_stored(store, name)
    selection = part.of(psi.manifest.grid)
    return await write_values(
        partial(write_npy, out, psi, selection),
        str(out),
        shape=selection.shape,
        points=selection.points,
        dtype=psi.dtype,
        quiet=quiet,
    )


def _print(values: np.ndarray[Any, Any], as_json: bool) -> None:
    flat = values.reshape(-1)
    re, im = flat.real.tolist(), flat.imag.tolist()
    if as_json:
        print_json({"shape": values.shape, "re": re, "im": im})
        return
    for a, b in zip(re, im, strict=True):
        show(f"{a!r},{b!r}")


def _index(text: str) -> tuple[Any, ...]:
    """An index as it is written in NumPy. Raises UsageError if it is not one."""
    return tuple(map(partial(_item, text), text.split(",")))


def _item(text: str, item: str) -> Any:
    if item.strip() == "...":
        return ...
    parts = item.split(":")
    try:
        bounds = [int(part) if part.strip() or len(parts) == 1 else None for part in parts]
    except ValueError:
        bounds = []
    if not 1 <= len(bounds) <= 3:
        raise UsageError(
            f"{item!r} in {text!r} is no index: write t,x,y,z with integers, first:stop:step or ..."
        )
    return bounds[0] if len(bounds) == 1 else slice(*bounds)
