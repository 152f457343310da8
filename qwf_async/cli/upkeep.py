"""`qwf clean` and `qwf watch`: keeping a server in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .options import Json, Quiet, Where, on_server
from .runner import on_store, print_json, say, told

if TYPE_CHECKING:
    from ..catalog.cleaning import Cleaned
    from ..catalog.orphans import Orphan
    from ..store.store import Store


@on_server
def clean(
    orphans: Annotated[
        bool,
        typer.Option("--orphans", help="Look at all keys, and remove those whose wavefunction nobody knows."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --orphans: list them, and remove nothing.")
    ] = False,
    *,
    where: Where,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Remove what is expendable: scratch data, superseded generations, loads abandoned for long.

    So are spools whose load is published, or lost with a part of what they had.

    With --orphans also keys of the prefix that belong to no wavefunction, no load and no trash,
    as a client can leave that died while its bytes were under way. That takes the right to
    SCAN, and about a minute for ten million keys.

    \b
    Examples:
      qwf clean --url redis://localhost
      qwf clean --orphans --dry-run
    """
    if dry_run and not orphans:
        raise typer.BadParameter("--dry-run goes with --orphans")

    async def job(store: Store) -> tuple[list[Orphan], Cleaned | None]:
        from ..ingesting.leftover_spools import drop_expendable

        found = await store.orphans(remove=not dry_run) if orphans else []
        if dry_run:
            return found, None
        await drop_expendable(store, None, hook=told(quiet=quiet))
        return found, await store.clean()

    found, cleaned = on_store(job, where, quiet=quiet)
    listed = {"orphans": [orphan.to_json() for orphan in found]} if orphans else {}
    if as_json:
        print_json((cleaned.to_json() if cleaned is not None else {}) | listed)
        return
    for orphan in found:
        size = "" if orphan.bytes is None else f", about {orphan.bytes / 1e6:,.1f} MB"
        typer.echo(f"{orphan.name} {orphan.generation}: {orphan.keys:,} keys{size}")
    if not quiet:
        done = "removed nothing" if cleaned is None else f"cleaned {cleaned.describe()}"
        say(f"{done}; {len(found)} generations that nobody knows" if orphans else done)


@on_server
def watch(*, where: Where, as_json: Json = False, quiet: Quiet = False) -> None:
    """Keep watching a server until a signal: its memory, and cleaning above the watermark.

    On a terminal a live view is shown; with --json, one object a line.

    \b
    Example: qwf watch --json >> server.jsonl
    """

    async def job(store: Store) -> None:
        from ..ingesting.watch_server import watch_server
        from .view import shown_server

        with shown_server(as_json=as_json, quiet=quiet) as hook:
            await watch_server(store, hook=hook)

    on_store(job, where, quiet=quiet)
