"""`qwf slice` reads a part of a stored wavefunction into a file, or prints it."""

from __future__ import annotations

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
from .output import print_json, show
from .stored_wavefunction import open_stored

if TYPE_CHECKING:
    import numpy as np

    from ..store.store import Store
    from .written_file import WrittenFile

MAX_PRINTED: Final = 10_000
"""Points that are printed; more of them go to a file."""


@with_option_groups
def slice_(
    name: NameArgument,
    index: Annotated[
        str,
        typer.Argument(
            help="t,x,y,z as in NumPy: integers, first:stop:step, and ... for whole axes. "
            "Put -- before one that begins with a minus sign.",
            show_default=False,
        ),
    ],
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
    Example: qwf slice hydrogen 0,10:20,:,64 -o plane.npy
    """
    parsed = _index(index)
    if out is None:
        _print(run_on_store(partial(_read, name=name, index=parsed), server_options, quiet=quiet), as_json)
        return
    from ..exporting.whole_file import check_free

    check_free(out, overwrite=overwrite)
    job = partial(_write, name=name, index=parsed, out=out, quiet=quiet)
    run_on_store(job, server_options, quiet=quiet).print(as_json=as_json, quiet=quiet)


async def _read(store: Store, *, name: str, index: tuple[Any, ...]) -> np.ndarray[Any, Any]:
    from ..lattice.selection import Selection

    psi = await open_stored(store, name)
    selection = Selection.of(psi.manifest.grid.shape, index)
    if selection.points > MAX_PRINTED:
        raise UsageError(
            f"{selection.points:,} points are more than are printed ({MAX_PRINTED:,}): give -o FILE.npy"
        )
    return await psi.read_selection(selection)


async def _write(store: Store, *, name: str, index: tuple[Any, ...], out: Path, quiet: bool) -> WrittenFile:
    from ..exporting.npy_selection import write_npy
    from ..lattice.selection import Selection
    from .written_file import write_values

    psi = await open_stored(store, name)
    selection = Selection.of(psi.manifest.grid.shape, index)
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
