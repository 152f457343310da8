"""`qwf ingest` loads a source and stores it as a wavefunction."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..errors import UsageError
from ..human import count, counted, duration, size
from .completion import sources
from .dry_run import print_dry_run
from .jobs import run_on_store
from .metrics_options import ListenOption, MetricsFileOption, measured
from .options import (
    JsonOption,
    QuietOption,
    ServerOptions,
    SourceOptions,
    TileOption,
    one_of,
    slab_of,
    tile_shape,
    with_option_groups,
)
from .output import print_json, say
from .source_argument import opened_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..events import Hook
    from ..ingesting.report import Report
    from ..source import Source
    from ..store.store import Store

NORM_TOLERANCE: Final = 1e-3
"""Distance from 1 up to which a norm is not remarked on."""


def _layouts(incomplete: str) -> list[str]:
    """The layouts whose names begin as the user has typed."""
    from ..layout import LAYOUTS  # only now: the help of a command is shown without numpy

    return one_of(*LAYOUTS, "auto")(incomplete)


@with_option_groups
def ingest(
    source: Annotated[
        str,
        typer.Argument(
            help="A file (psi.npy, psi.h5:/path, re.cube,im.cube, psi.raw:shape=64x64,dtype=c16), files that are "
            "frames ('fr_*.npy'), - for npy on standard input, a state (hydrogen:n=3,l=2,m=1), module:function, "
            "evolve:potential=…, eigen:potential=…, or redis-hash:KEY.",
            show_default=False,
            autocompletion=sources,
        ),
    ],
    name: Annotated[
        str | None, typer.Option(help="Name to store it under.", show_default="the source's first word")
    ] = None,
    *,
    source_options: SourceOptions,
    layout: Annotated[
        str,
        typer.Option(
            help="How it lies in hashes: flat, packed or tile; auto: the first of them that fits.",
            autocompletion=_layouts,
        ),
    ] = "flat",
    codec: Annotated[
        str,
        typer.Option(
            help="Form of a value: c16 (lossless), c8 or text10.",
            autocompletion=one_of("c16", "c8", "text10"),
        ),
    ] = "c16",
    tile: TileOption = None,
    slab: Annotated[
        str | None,
        typer.Option(
            help="Points of a hash of layout flat along x, y, z and t, as in 16x16x16x4; all: one hash, as in the "
            "old project.",
            show_default="about 16,384, as the source is read best",
        ),
    ] = None,
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
    producers: Annotated[
        int | None, typer.Option(help="Threads that encode at once.", min=1, show_default="by cores")
    ] = None,
    max_rate: Annotated[
        float | None, typer.Option(help="Points/s at most, on a server that others use.", show_default=False)
    ] = None,
    replicas: Annotated[
        int | None,
        typer.Option(
            help="Replicas of each server that must have it before it is published.", min=0, show_default="0"
        ),
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
    dask: Annotated[
        str | None,
        typer.Option(help="Let the workers of a dask scheduler do it: tcp://host:8786.", show_default=False),
    ] = None,
    listen: ListenOption = None,
    metrics_file: MetricsFileOption = None,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
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
    if layout == "auto" and (dry_run or dask is not None):
        raise UsageError(
            "--layout auto asks the server what fits, and goes without --dry-run and --dask: 'qwf estimate' measures"
        )
    if dask is not None and (verify or max_rate or writers or producers):
        raise UsageError(
            "--dask goes without --verify, --max-rate, --writers and --producers: 'qwf verify' verifies"
        )
    if dask is not None:
        if source == "-":
            raise UsageError(
                "--dask is for sources that the workers can open, and they have other standard inputs"
            )
        from ..dask.scheduling import absolute

        source = absolute(source)
    if dask is not None and (listen is not None or metrics_file is not None):
        raise UsageError("--dask goes without --listen and --metrics-file: the workers do the work")
    tile_points, slab_points = tile_shape(tile), slab_of(slab)
    asked = (None, None) if dry_run else (listen, metrics_file)
    with measured(*asked, quiet=quiet) as metrics, opened_source(source, source_options) as argument:
        stored_name = default_name(source) if name is None else name
        if dry_run and argument.local is not None:
            print_dry_run(
                argument.local, stored_name, layout, codec, tile_points, slab_points, as_json=as_json
            )
            return

        async def loaded(psi: Source, store: Store, hooks: Sequence[Hook]) -> Report:
            from ..ingesting.ingestion import ingest as load

            if dask is not None:
                from ..dask.scheduling import ingest_by_workers

                return await ingest_by_workers(
                    dask,
                    source,
                    asdict(source_options),
                    psi,
                    store,
                    stored_name,
                    hook=hooks[0],
                    layout=layout,
                    codec=codec,
                    tile=tile_points,
                    slab=slab_points,
                    write_mode=write_mode,
                    resume=resume,
                    overwrite=overwrite,
                    discard=discard,
                    allow_nonfinite=allow_nonfinite,
                    configure_server=configure_server,
                    force=force,
                )
            return await load(
                psi,
                store,
                stored_name,
                layout=layout,
                codec=codec,
                tile=tile_points,
                slab=slab_points,
                write_mode=write_mode,
                resume=resume,
                overwrite=overwrite,
                discard=discard,
                verify=verify,
                allow_nonfinite=allow_nonfinite,
                configure_server=configure_server,
                force=force,
                signals=True,
                hooks=hooks,
            )

        async def job(store: Store) -> Report | None:
            from .progress import shown_progress

            psi = await argument.on(store)
            if dry_run:
                print_dry_run(psi, stored_name, layout, codec, tile_points, slab_points, as_json=as_json)
                return None
            if dask is not None and argument.local is None:
                raise UsageError(
                    "--dask is for sources that the workers can open: files, states and functions"
                )
            async with metrics.on(store) as hooks:
                with shown_progress(quiet=quiet) as hook:
                    return await loaded(psi, store, (hook, *hooks))

        report = run_on_store(
            job,
            server_options,
            quiet=quiet,
            writers=writers,
            producers=producers,
            max_rate=max_rate,
            replicas=replicas,
        )
    if report is None:
        return
    if as_json:
        print_json(report.to_json())
    elif not quiet:
        _say(report, server_options)


def _say(report: Report, server_options: ServerOptions) -> None:
    if report.already:
        say(f"{report.name} is stored already from this source, in generation {report.generation}")
        return
    shape = "×".join(str(size) for size in report.shape)
    norm = "unknown, as the grid spacing is not known" if report.norm is None else f"{report.norm:.9g}"
    if report.norm is not None and abs(report.norm - 1) > NORM_TOLERANCE:
        norm += ", not 1: ψ is stored as it is"
    rate = (
        f"{count(report.points_per_s)} points/s" if report.points_per_s else "all of them were there already"
    )
    each = report.bytes_per_point
    memory = "" if each is None else f", about {size(each * report.points)} ({each:.1f} bytes a point)"
    say(
        f"stored {report.name}: {counted(report.points, 'point')} (t,x,y,z = {shape}) as {report.layout} "
        f"{report.codec} in {duration(report.seconds)}, {rate}{memory}"
    )
    if report.source_facts:
        say(
            "; ".join(
                f"{fact.replace('_', ' ')} = {value:.6g}" for fact, value in report.source_facts.items()
            )
        )
    counts = report.connections
    say(
        f"connections: {count(counts['opened'])} opened, used {count(counts['borrowed'])} times; "
        f"{counts['turned_away']} turned away for lack of room, "
        f"{counts['failed']} failed, {counts['lost']} lost, {counts['timeouts']} timeouts"
    )
    say(
        f"norm {norm}; durability: {report.durability}; try: qwf plot {report.name}{server_options.command_line}"
    )
