"""Export: a stored wavefunction, or one of its frames, to a file that may be larger than memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import anyio.to_thread

from ..checked import checked
from ..errors import InvalidInput, UsageError
from ..lattice.grid import Axis, Box, Grid
from ..lattice.plan import BoxPlan
from ..lattice.selection import Selection
from ..source.formats.table import writers
from ..source.formats.writing import ExportHeader
from ..store.wavefunction import Wavefunction
from ..wording import option
from .whole_file import check_free, in_threads, translated_errors, written_whole

POINTS: Final = 1 << 20
"""Points that are in memory at a time, about: 16 MB."""


def format_of(out: str, wanted: str | None = None) -> str:
    """The format of a file by its ending, or the one that is wanted. Raises UsageError if there is no such format."""
    known = writers()
    if wanted is not None:
        if wanted not in known:
            raise UsageError(f"unknown format {wanted!r}: one of {', '.join(known)}")
        return wanted
    last = out.rstrip("/").lower()
    for name, writer in known.items():
        if last.endswith(writer.endings):
            return name
    endings = ", ".join(ending for writer in known.values() for ending in writer.endings)
    raise UsageError(f"{out} has no suffix that says its format ({endings}): give {option('format')}")


def check_out(
    out: str,
    format: str | None = None,  # noqa: A002 # as for `export`
    *,
    overwrite: bool = False,
) -> tuple[str, list[Path]]:
    """The format of a file to be written, and its path, or the paths of a pair.

    Raises UsageError for an unknown format, and InvalidInput if `out` names no file, or something
    that is there and not to be replaced.
    """
    kind = format_of(out, format)
    writer = writers()[kind]
    paths = [Path(name) for name in (out.split(",") if writer.max_files > 1 else [out])]
    if len(paths) > writer.max_files or not all(path.name for path in paths) or len(set(paths)) < len(paths):
        raise InvalidInput(f"{out} names no file, or no pair of files as in re.cube,im.cube")
    for path in paths:
        check_free(path, overwrite=overwrite, directory=writer.is_directory)
    return kind, paths


@checked
async def export(
    psi: Wavefunction,
    out: str | Path,
    *,
    format: str | None = None,  # noqa: A002 # the option's own name
    frame: int | None = None,
    overwrite: bool = False,
    done: Callable[[int], object] = lambda points: None,
) -> None:
    """Write a stored wavefunction to a file, whole or not at all.

    `out`: psi.npy, psi.raw, psi.h5, psi.zarr, psi.nc, psi.cube, or re.cube,im.cube; `format`, if the
    suffix does not say it, is npy, raw, hdf5, zarr, netcdf or cube. `frame`: only that one of the
    times. Values and axes are kept to the last bit, in a cube file to six digits. Memory is that
    of about POINTS points. `done` is called with the points of each box that was written.
    Raises InvalidInput if the file is there (unless `overwrite`), cannot be written, or
    cannot hold ψ; UsageError for an unknown format or a library that is missing; and as
    `Wavefunction.point`. After any error the file is as it was before.
    """
    check = partial(check_out, str(out), format, overwrite=overwrite)
    kind, paths = await anyio.to_thread.run_sync(check)
    grid, first = psi.manifest.grid, 0
    if frame is not None:
        first = grid.index(0, t=frame)[0]
        grid = _at(grid, first)
    writer = writers()[kind]
    writer.check(grid)
    header = ExportHeader(grid=grid, dtype=psi.dtype, title=f"{psi.name}, {psi.manifest.source}"[:200])
    plan = BoxPlan.cut(grid.shape, points=POINTS, unit=writer.unit(grid.shape))
    with translated_errors(out):
        async with AsyncExitStack() as stack:
            new_paths = [await stack.enter_async_context(in_threads(written_whole(path))) for path in paths]
            write = await stack.enter_async_context(in_threads(writer.open(new_paths, header)))
            for chunk in plan:
                values = await psi.read_selection(_selection(psi, chunk.box, first))
                await anyio.to_thread.run_sync(write, chunk.box, values)
                done(chunk.points)


def _at(grid: Grid, frame: int) -> Grid:
    """The grid of one frame: its time is the origin of the axis t."""
    time = grid.axes[0]
    origin = time.origin if time.step is None else time.origin + frame * time.step
    first = Axis(origin=origin, step=time.step, unit=time.unit, periodic=time.periodic)
    return replace(grid, shape=(1, *grid.shape[1:]), axes=(first, *grid.axes[1:]))


def _selection(psi: Wavefunction, box: Box, first: int) -> Selection:
    """The points of a box of the file."""
    t, x, y, z = box.slices
    return Selection.of(psi.manifest.grid.shape, (slice(t.start + first, t.stop + first), x, y, z))
