"""`qwf export` writes a stored wavefunction to a file."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from .jobs import run_on_store
from .options import (
    JsonOption,
    NameArgument,
    OverwriteOption,
    QuietOption,
    ServerOptions,
    with_option_groups,
)
from .stored_wavefunction import open_stored

if TYPE_CHECKING:
    from ..store.store import Store
    from .written_file import WrittenFile


def offered_formats(incomplete: str) -> list[str]:
    """The formats that can be written and begin so; asked by a shell only, since the table of formats imports numpy."""
    from ..source.formats.table import writers

    return [name for name in writers() if name.startswith(incomplete)]


@with_option_groups
def export(
    name: NameArgument,
    out: Annotated[
        str,
        typer.Argument(
            help="The file to write: psi.npy, psi.raw, psi.h5, psi.zarr, psi.nc, psi.cube, or re.cube,im.cube.",
            show_default=False,
        ),
    ],
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="npy, raw (the numbers alone), hdf5, zarr, netcdf or cube.",
            show_default="by the suffix",
            autocompletion=offered_formats,
        ),
    ] = None,
    frame: Annotated[
        int | None, typer.Option(help="Only this one of the times; 0 is the first.", show_default=False)
    ] = None,
    overwrite: OverwriteOption = False,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a whole wavefunction to a file, which may be larger than memory; ψ is indexed t, x, y, z.

    Values and axes are kept to the last bit; a Gaussian cube file keeps six digits of one
    time, and a complex ψ takes two.

    \b
    Examples:
      qwf export hydrogen psi.npy
      qwf export packet re.cube,im.cube --frame 3
    """
    from ..exporting.export_file import check_out

    check_out(out, file_format, overwrite=overwrite)

    async def job(store: Store) -> WrittenFile:
        from ..exporting.export_file import export as write
        from .written_file import write_values

        psi = await open_stored(store, name)
        grid = psi.manifest.grid
        shape = grid.shape if frame is None else (1, *grid.shape[1:])
        return await write_values(
            partial(write, psi, out, format=file_format, frame=frame, overwrite=overwrite),
            out,
            shape=shape,
            points=shape[0] * grid.frame_points,
            dtype=psi.dtype,
            quiet=quiet,
        )

    run_on_store(job, server_options, reading=True, quiet=quiet).print(as_json=as_json, quiet=quiet)
