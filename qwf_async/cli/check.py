"""`qwf verify` and `qwf estimate`: what is stored against what it should be, and what would be."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..errors import DamagedData
from .given import given
from .ingest import tile_of
from .options import Box, Dims, Frames, Grid, Json, Name, Quiet, Step, Tile, Where, on_server
from .resume import open_stored
from .runner import on_store, print_json, say, show

if TYPE_CHECKING:
    from ..ingesting.estimate import Estimate
    from ..ingesting.verify import Difference, Verification
    from ..store.store import Store

SHOWN: Final = 3
"""Chunks that are described; all of them are in the JSON."""


@on_server
def verify(
    name: Name,
    source: Annotated[
        str | None,
        typer.Argument(help="Compare with this source, given as for ingest.", show_default=False),
    ] = None,
    grid: Grid = None,
    box: Box = None,
    frames: Frames = None,
    dt: Step = None,
    dims: Dims = None,
    *,
    where: Where,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read a wavefunction back and compare it, chunk by chunk, with the digests of what was written, or with a source.

    Exit 5 if a chunk differs; to ingest the source again with --overwrite is the repair.
    Chunks that were changed on purpose (qwf set) are told; they differ only from a source.

    \b
    Examples:
      qwf verify hydrogen
      qwf verify psi psi.npy
      qwf verify old redis-hash:wave_function
    """
    against = (
        nullcontext()
        if source is None
        else given(source, grid=grid, box=box, frames=frames, dt=dt, dims=dims)
    )
    with against as found:

        async def job(store: Store) -> Verification:
            from ..events import Progress
            from ..ingesting.verify import verify as read_back
            from .progress import shown_progress

            total, read = (await open_stored(store, name)).manifest.points, 0
            with shown_progress(quiet=quiet) as hook:

                def done(points: int) -> None:
                    nonlocal read
                    read += points
                    hook(Progress(points=read, total=total, bytes_sent=0))

                psi = None if found is None else await found.on(store, tell=True)
                return await read_back(store, name, psi, done=done)

        result = on_store(job, where, quiet=quiet)
    if as_json:
        print_json(
            {
                "name": name,
                "chunks": result.chunks,
                "differing": result.differing,
                "changed": result.changed,
                "differences": [one.to_json() for one in result.differences],
            }
        )
    other = "what was written" if source is None else source
    if result.differences:
        raise DamagedData(
            f"{len(result.differences)} of {result.chunks} chunks of {name} differ from {other}: "
            f"{_shown(result.differences)}; ingest its source with --overwrite"
        )
    if not quiet and not as_json:
        changed = len(result.changed)
        if source is None and changed:
            rest = "the others are as they were written" if changed < result.chunks else "no value is missing"
            say(f"{name}: {changed} of {result.chunks} chunks were changed on purpose since; {rest}")
        else:
            as_it = "they were written" if source is None else source
            say(f"{name}: all {result.chunks} chunks are as {as_it}")


def _shown(differences: list[Difference]) -> str:
    """The first differences in words."""
    first = (
        f"chunk {one.chunk} ({one.place}{_WHY[one.what]}{one.detail or ''})" for one in differences[:SHOWN]
    )
    return ", ".join(first) + (", …" if len(differences) > SHOWN else "")


_WHY: Final = {"differs": "", "missing": ": ", "unrecorded": ": no digest of it was kept"}


@on_server
def estimate(
    source: Annotated[str, typer.Argument(help="A source, given as for ingest.", show_default=False)],
    grid: Grid = None,
    box: Box = None,
    frames: Frames = None,
    dt: Step = None,
    dims: Dims = None,
    tile: Tile = None,
    *,
    where: Where,
    as_json: Json = False,
) -> None:
    """Say what a source would take on the server in each layout: a sample is stored, measured and removed.

    Memory in the end, within 2 %. Seconds are rough: if others use the machine too, they can become twice as many.
    The sample is of the first frames; of its values only what text10 takes depends.

    \b
    Example: qwf estimate hydrogen:n=3,l=2,m=1 --grid 256
    """
    shape = None if tile is None else tile_of(tile)
    with given(source, grid=grid, box=box, frames=frames, dt=dt, dims=dims) as opened:

        async def job(store: Store) -> list[Estimate]:
            from ..ingesting.estimate import estimate as measure

            return await measure(await opened.on(store, tell=True), store, tile=shape)

        found = on_store(job, where)
    if as_json:
        print_json([one.to_json() for one in found])
        return
    from ..layout import LAYOUTS

    for one in found:
        label = "about" if LAYOUTS[one.layout].one_hash else "at least"
        fits = {True: "fits", False: "does not fit", None: "fits if there is memory"}[one.fits]
        show(
            f"{one.layout:7} {one.codec:7} {one.bytes / 1e6:>12,.1f} MB  {one.bytes_per_point:6.1f} bytes a point  "
            f"{label:>8} {one.seconds:>8,.1f} s  {fits}"
        )
