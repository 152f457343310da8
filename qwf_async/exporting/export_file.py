"""Export: a stored wavefunction, or one of its frames, to a file that may be larger than memory."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import anyio.to_thread

from ..checked import checked
from ..errors import InvalidInput, QwfError, UsageError
from ..lattice.grid import Axis, Box, Grid
from ..lattice.plan import BoxPlan
from ..lattice.selection import Selection
from ..optional import first_line
from ..source.formats.cube.cube_writer import check_cube, cube_files
from ..source.formats.hdf5.hdf5_writer import hdf5_file
from ..source.formats.netcdf.netcdf_writer import netcdf_file
from ..source.formats.npy_writer import npy_file, raw_file
from ..source.formats.writing import ExportHeader, Write, blocks
from ..source.formats.zarr.zarr_writer import zarr_directory
from ..store.wavefunction import Wavefunction
from ..wording import option
from .whole_file import check_free, replaced

FORMATS: Final[Mapping[str, tuple[str, ...]]] = {
    "npy": (".npy",),
    "raw": (".raw", ".bin"),
    "hdf5": (".h5", ".hdf5", ".hdf"),
    "zarr": (".zarr",),
    "netcdf": (".nc", ".nc4"),
    "cube": (".cube", ".cub"),
}
"""Format → the suffixes by which it is known."""

POINTS: Final = 1 << 20
"""Points that are in memory at a time, about: 16 MB."""


def format_of(out: str, wanted: str | None = None) -> str:
    """The format of a file by its suffix, or the one that is wanted. Raises UsageError if there is no such."""
    if wanted is not None:
        if wanted not in FORMATS:
            raise UsageError(f"unknown format {wanted!r}: one of {', '.join(FORMATS)}")
        return wanted
    last = out.rstrip("/").lower()
    for name, suffixes in FORMATS.items():
        if last.endswith(suffixes):
            return name
    known = ", ".join(suffix for suffixes in FORMATS.values() for suffix in suffixes)
    raise UsageError(f"{out} has no suffix that says its format ({known}): give {option('format')}")


def check_out(
    out: str,
    format: str | None = None,  # noqa: A002 # as for `export`
    *,
    overwrite: bool = False,
) -> tuple[str, list[Path]]:
    """The format of a file to be written, and its path, or those of a pair.

    Raises UsageError for an unknown format, and InvalidInput for something that is there and
    not to be replaced, or a name that is none.
    """
    kind = format_of(out, format)
    paths = [Path(one) for one in (out.split(",") if kind == "cube" else [out])]
    if len(paths) > 2 or not all(path.name for path in paths) or len(set(paths)) < len(paths):
        raise InvalidInput(f"{out} names no file, or no pair of files as in re.cube,im.cube")
    for path in paths:
        check_free(path, overwrite=overwrite, directory=kind == "zarr")
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
    suffix does not say it, is one of FORMATS. `frame`: only that one of the times. Values and
    axes are kept to the last bit, in a cube file to six digits. Memory is that of about
    POINTS points. `done` is told the points that were written.
    Raises InvalidInput if the file is there (unless `overwrite`), cannot be written, or
    cannot hold ψ; UsageError for an unknown format or a library that is missing; and as
    `Wavefunction.point`. After any error the file is as it was before.
    """
    kind, paths = check_out(str(out), format, overwrite=overwrite)
    grid, first = psi.manifest.grid, 0
    if frame is not None:
        first = operator.index(frame)
        grid.index(0, t=first)
        grid = _at(grid, first)
    if kind == "cube":
        check_cube(grid)
    sheet = ExportHeader(grid=grid, dtype=psi.dtype, title=f"{psi.name}, {psi.manifest.source}"[:200])
    unit = blocks(grid.shape) if kind == "zarr" else (1, 1, 1, 1)
    plan = BoxPlan.cut(grid.shape, points=POINTS, unit=unit)
    with _errors(out), ExitStack() as stack:
        beside = [stack.enter_context(replaced(path)) for path in paths]
        open_files = _writer(kind, beside, sheet)
        write = await anyio.to_thread.run_sync(open_files.__enter__)
        try:
            for chunk in plan:
                values = await psi.read_selection(_selection(psi, chunk.box, first))
                await anyio.to_thread.run_sync(write, chunk.box, values)
                done(chunk.points)
        except BaseException as error:
            open_files.__exit__(type(error), error, error.__traceback__)
            raise
        await anyio.to_thread.run_sync(open_files.__exit__, None, None, None)


def _writer(kind: str, paths: Sequence[Path], sheet: ExportHeader) -> AbstractContextManager[Write]:
    if kind == "cube":
        return cube_files(paths, sheet)
    writers = {
        "npy": npy_file,
        "raw": raw_file,
        "hdf5": hdf5_file,
        "zarr": zarr_directory,
        "netcdf": netcdf_file,
    }
    (path,) = paths
    return writers[kind](path, sheet)


@contextmanager
def _errors(out: str | Path) -> Iterator[None]:
    """Translate what the system and the libraries say when a file cannot be written."""
    try:
        yield
    except QwfError:
        raise
    except OSError as error:
        raise InvalidInput(f"cannot write {out}: {error.strerror or first_line(error)}") from error
    except (RuntimeError, ValueError) as error:  # what h5py and zarr make of a full disk and the like
        raise InvalidInput(f"cannot write {out}: {first_line(error)}") from error


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
