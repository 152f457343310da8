"""`qwf export`: a stored wavefunction written to a file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import Json, Name, Overwrite, Quiet, Where, on_server, one_of
from .read import tell
from .resume import open_stored
from .runner import on_store, print_json

if TYPE_CHECKING:
    from ..store.store import Store
    from ..store.wavefunction import Wavefunction


@on_server
def export(
    name: Name,
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
            autocompletion=one_of("npy", "raw", "hdf5", "zarr", "netcdf", "cube"),
        ),
    ] = None,
    frame: Annotated[
        int | None, typer.Option(help="Only this one of the times; 0 is the first.", show_default=False)
    ] = None,
    overwrite: Overwrite = False,
    *,
    where: Where,
    as_json: Json = False,
    quiet: Quiet = False,
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

    async def job(store: Store) -> dict[str, Any]:
        psi = await open_stored(store, name)
        return await _to_file(psi, out, quiet=quiet, format=file_format, frame=frame, overwrite=overwrite)

    facts = on_store(job, where, quiet=quiet)
    if as_json:
        print_json(facts)
    else:
        tell(facts, quiet=quiet)


async def _to_file(psi: Wavefunction, out: str, *, quiet: bool, **options: Any) -> dict[str, Any]:
    """Write it, shown on the terminal; raises Interrupted at a signal, and then nothing was written."""
    from ..events import Progress
    from ..exporting.export_file import export as write
    from ..ingesting.shutdown import shutdown_on_signals
    from .progress import shown_progress

    shape = psi.manifest.grid.shape if options["frame"] is None else (1, *psi.manifest.grid.shape[1:])
    total, written = psi.manifest.grid.frame_points * shape[0], 0
    begun = time.monotonic()
    with shown_progress(quiet=quiet) as hook:

        def done(points: int) -> None:
            nonlocal written
            written += points
            hook(Progress(points=written, total=total, bytes_sent=written * psi.dtype.itemsize))

        async with shutdown_on_signals(0) as shutdown:
            with shutdown.scope:
                await write(psi, out, done=done, **options)
                seconds = time.monotonic() - begun
                return {
                    "file": out,
                    "shape": list(shape),
                    "dtype": psi.dtype.name,
                    "points": total,
                    "seconds": seconds,
                    "points_per_s": total / seconds,
                }
    raise shutdown.interrupted(f"{out} was not written")
