"""`qwf ingest`: from a source to a stored wavefunction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..errors import UsageError
from .describe import describe
from .given import given
from .options import Box, Dims, Frames, Grid, Json, Quiet, Step, Tile, Where, on_server, one_of
from .runner import on_store, print_json, say

if TYPE_CHECKING:
    from ..ingesting.report import Report
    from ..store.store import Store

OFF: Final = 1e-3
"""From 1, from which on a norm is said to be off it."""


@on_server
def ingest(
    source: Annotated[
        str,
        typer.Argument(
            help="A file (psi.npy, psi.h5:/path, re.cube,im.cube, psi.raw:shape=64x64,dtype=c16), files that are "
            "frames ('fr_*.npy'), - for npy on standard input, a state (hydrogen:n=3,l=2,m=1), module:function, "
            "evolve:potential=…, or redis-hash:KEY.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str | None, typer.Option(help="Name to store it under.", show_default="the source's first word")
    ] = None,
    grid: Grid = None,
    box: Box = None,
    frames: Frames = None,
    dt: Step = None,
    dims: Dims = None,
    layout: Annotated[
        str,
        typer.Option(
            help="How it lies in hashes: flat, packed or tile.",
            autocompletion=one_of("flat", "packed", "tile"),
        ),
    ] = "flat",
    codec: Annotated[
        str,
        typer.Option(
            help="Form of a value: c16 (lossless), c8 or text10.",
            autocompletion=one_of("c16", "c8", "text10"),
        ),
    ] = "c16",
    tile: Tile = None,
    write_mode: Annotated[
        str,
        typer.Option(
            help="How packed is written: auto, hset or restore (faster; may be forbidden).",
            autocompletion=one_of("auto", "hset", "restore"),
        ),
    ] = "auto",
    writers: Annotated[
        int | None, typer.Option(help="Tasks that write at once.", min=1, show_default="4")
    ] = None,
    max_rate: Annotated[
        float | None, typer.Option(help="Points/s at most, on a server that others use.", show_default=False)
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with an unfinished load; can be repeated until it exits 0."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what has this name.")] = False,
    discard: Annotated[bool, typer.Option("--discard", help="Throw an unfinished load away first.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Read all back before it is published.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Even if it seems not to fit, or the server evicts data.")
    ] = False,
    allow_nonfinite: Annotated[
        bool, typer.Option("--allow-nonfinite", help="Store NaN and infinity as they are.")
    ] = False,
    configure_server: Annotated[
        bool, typer.Option("--configure-server", help="Set what is unfit about the server's settings.")
    ] = False,
    *,
    where: Where,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Load a wavefunction and publish it whole.

    \b
    Examples:
      qwf ingest hydrogen:n=3,l=2,m=1 --grid 96
      qwf ingest gaussian:k=2,sigma=1 --grid 4096x1 --frames 50 --dt 0.1 --name packet
      qwf ingest psi.npy --box 20 --url redis://localhost --resume
      qwf ingest psi.h5:/run/psi --dims x,y,z,t --dry-run
    """
    from ..source import default_name

    if resume and discard:
        raise UsageError("--resume and --discard contradict each other: choose one")
    tile_shape = None if tile is None else tile_of(tile)
    with given(source, grid=grid, box=box, frames=frames, dt=dt, dims=dims) as found:
        wanted = default_name(source) if name is None else name
        if dry_run and found.here is not None:
            describe(found.here, wanted, layout, codec, tile_shape, as_json=as_json)
            return

        async def job(store: Store) -> Report | None:
            from ..ingesting.ingest import ingest as load
            from .progress import shown_progress

            psi = await found.on(store)
            if dry_run:
                describe(psi, wanted, layout, codec, tile_shape, as_json=as_json)
                return None
            with shown_progress(quiet=quiet) as hook:
                return await load(
                    psi,
                    store,
                    wanted,
                    layout=layout,
                    codec=codec,
                    tile=tile_shape,
                    write_mode=write_mode,
                    resume=resume,
                    overwrite=overwrite,
                    discard=discard,
                    verify=verify,
                    allow_nonfinite=allow_nonfinite,
                    configure_server=configure_server,
                    force=force,
                    signals=True,
                    hooks=(hook,),
                )

        report = on_store(
            job,
            where,
            quiet=quiet,
            writers=writers,
            max_rate=max_rate,
        )
    if report is None:
        return
    if as_json:
        print_json(report.to_json())
    elif not quiet:
        _tell(report, where)


def tile_of(text: str) -> tuple[int, int, int]:
    sizes = [int(size) if size.isdecimal() else 0 for size in text.split("x")]
    if not 1 <= len(sizes) <= 3 or min(sizes) < 1:
        raise UsageError(f"--tile {text!r} is no tile: write 16x16x16, points along x, y and z")
    x, y, z = (*sizes, 1, 1)[:3]
    return x, y, z


def _tell(report: Report, where: Where) -> None:
    if report.already:
        say(f"{report.name} is stored already from this source, in generation {report.generation}")
        return
    shape = "×".join(str(size) for size in report.shape)
    norm = "unknown, as the grid spacing is not known" if report.norm is None else f"{report.norm:.9g}"
    if report.norm is not None and abs(report.norm - 1) > OFF:
        norm += ", not 1: ψ is stored as it is"
    memory = "" if report.bytes_per_point is None else f", {report.bytes_per_point:.1f} bytes a point"
    say(
        f"stored {report.name}: {report.points:,} points (t,x,y,z = {shape}) as {report.layout} {report.codec} in "
        f"{report.seconds:.2f} s, {report.points_per_s:,.0f} points/s{memory}"
    )
    if report.source_facts:
        say("; ".join(f"{fact.replace('_', ' ')} {value:.6g}" for fact, value in report.source_facts.items()))
    seen = report.connections
    say(
        f"connections: {seen['opened']} opened, used {seen['borrowed']} times; {seen['turned_away']} turned away for "
        f"lack of room, {seen['failed']} failed, {seen['lost']} lost, {seen['timeouts']} timeouts"
    )
    say(f"norm {norm}; durability: {report.durability}; try: qwf get {report.name} 0 0 0{where.again}")
