"""What `qwf cp` and `qwf mv` share: their options, and the run of both."""

from __future__ import annotations

from contextlib import AsyncExitStack, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidInput, UsageError
from .jobs import run_on_store
from .options import ServerOptions, TileOption, one_of, slab_of, tile_shape
from .output import print_json, say

if TYPE_CHECKING:
    from ..ingesting.report import Report
    from ..store.store import Store

TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="[URL/]NEW",
        help="The new name, after a server's URL if it is another one: redis://host:6379/NEW, host:6379/2/NEW "
        "(database 2), unix:///run/redis.sock/NEW, embedded:///NEW. URL/ alone keeps the name.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOptions:
    """How a wavefunction is copied; each field is an option."""

    layout: Annotated[
        str | None,
        typer.Option(
            help="Another layout: flat, packed or tile; auto: the first of them that fits.",
            show_default="as it is",
            autocompletion=one_of("flat", "packed", "tile", "auto"),
        ),
    ] = None
    codec: Annotated[
        str | None,
        typer.Option(
            help="Another form of a value: c16, c8 or text10.",
            show_default="as it is",
            autocompletion=one_of("c16", "c8", "text10"),
        ),
    ] = None
    tile: TileOption = None
    slab: Annotated[
        str | None,
        typer.Option(
            help="Points of a hash of layout flat along x, y, z and t, as in 16x16x16x4; all: one hash.",
            show_default=False,
        ),
    ] = None
    to_prefix: Annotated[
        str | None, typer.Option(help="Key prefix of the copy.", show_default="that of the settings")
    ] = None
    to_password_file: Annotated[
        Path | None,
        typer.Option(help="File that holds the password of the other server.", show_default=False),
    ] = None
    writers: Annotated[
        int | None, typer.Option(help="Tasks that write at once.", min=1, show_default="4")
    ] = None
    max_rate: Annotated[
        float | None, typer.Option(help="Points/s at most, on a server that others use.", show_default=False)
    ] = None
    replicas: Annotated[
        int | None,
        typer.Option(
            help="Replicas of each server that must have it before it is published.", min=0, show_default="0"
        ),
    ] = None
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with an unfinished copy; can be repeated until it exits 0."),
    ] = False
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what has the new name.")] = False
    discard: Annotated[bool, typer.Option("--discard", help="Throw an unfinished load away first.")] = False
    force: Annotated[
        bool, typer.Option("--force", help="Even if it seems not to fit, or the server evicts data.")
    ] = False
    configure_server: Annotated[
        bool,
        typer.Option("--configure-server", help="Set what is unfit about the settings of the copy's server."),
    ] = False


def run_copy(
    name: str,
    target: str,
    options: CopyOptions,
    server_options: ServerOptions,
    *,
    quiet: bool,
    as_json: bool,
    verify: bool,
    move: bool,
) -> None:
    """Copy or move a wavefunction, and report."""
    tile, slab = tile_shape(options.tile), slab_of(options.slab)
    if options.resume and options.discard:
        raise UsageError("--resume and --discard contradict each other: choose one")

    async def job(store: Store) -> tuple[Report, str]:
        from ..copying.copying import copy
        from ..copying.copying import move as move_
        from ..copying.target import Target
        from ..store.connecting import connect
        from .progress import shown_progress
        from .stored_wavefunction import open_stored

        place = Target.parse(target, name)
        settings = place.settings(
            store.settings, prefix=options.to_prefix, password_file=options.to_password_file
        )
        with suppress(InvalidInput) if move else nullcontext():  # an earlier run may have moved it already
            await open_stored(store, name)
        async with AsyncExitStack() as stack:
            to = store
            if settings is not None:
                to = await stack.enter_async_context(connect(settings=settings))
                if to.embedded is not None and to.embedded.started and not quiet:
                    say(
                        f"started the embedded server, data in {settings.data_dir}; 'qwf server stop' ends it"
                    )
            more: dict[str, Any] = {} if move else {"verify": verify}
            with shown_progress(quiet=quiet) as hook:
                report = await (move_ if move else copy)(
                    store,
                    name,
                    to,
                    place.name,
                    layout=options.layout,
                    codec=options.codec,
                    tile=tile,
                    slab=slab,
                    resume=options.resume,
                    overwrite=options.overwrite,
                    discard=options.discard,
                    force=options.force,
                    configure_server=options.configure_server,
                    signals=True,
                    hooks=(hook,),
                    **more,
                )
            return report, "" if to is store else f" on {to.address.shown}"

    report, where = run_on_store(
        job,
        server_options,
        quiet=quiet,
        reading=True,
        writers=options.writers,
        max_rate=options.max_rate,
        replicas=options.replicas,
    )
    if as_json:
        print_json(report.to_json())
    elif not quiet:
        _say(report, f"{'moved' if move else 'copied'} {name} to {report.name}{where}")


def _say(report: Report, done: str) -> None:
    if report.already:
        say(f"{done} already, in generation {report.generation}")
        return
    rate = f"{report.points_per_s:,.0f} points/s" if report.points_per_s else "all of them were there already"
    say(
        f"{done}: {report.points:,} points as {report.layout} {report.codec} in {report.seconds:.2f} s, {rate}"
        f"{', verified' if report.verified else ''}; durability: {report.durability}"
    )
