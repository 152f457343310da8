"""`qwf clean` removes expendable data from a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..human import counted, size
from .jobs import run_on_store
from .options import JsonOption, QuietOption, ServerOptions, with_option_groups
from .output import notes_said, print_json, say, show

if TYPE_CHECKING:
    from ..catalog.cleaning import Cleaned
    from ..catalog.orphans import Orphan
    from ..store.store import Store


@with_option_groups
def clean(
    orphans: Annotated[
        bool,
        typer.Option("--orphans", help="Look at all keys, and remove those whose wavefunction nobody knows."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --orphans: list them, and remove nothing.")
    ] = False,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
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

        unowned = await store.orphans(remove=not dry_run) if orphans else []
        if dry_run:
            return unowned, None
        await drop_expendable(store, None, hook=notes_said(quiet=quiet))
        return unowned, await store.clean()

    unowned, cleaned = run_on_store(job, server_options, quiet=quiet)
    orphan_list = {"orphans": [orphan.to_json() for orphan in unowned]} if orphans else {}
    if as_json:
        print_json((cleaned.to_json() if cleaned is not None else {}) | orphan_list)
        return
    for orphan in unowned:
        memory = "" if orphan.bytes is None else f", about {size(orphan.bytes)}"
        show(f"{orphan.name} {orphan.generation}: {counted(orphan.keys, 'key')}{memory}")
    if not quiet:
        done = "removed nothing" if cleaned is None else f"cleaned {cleaned.describe()}"
        say(f"{done}; {counted(len(unowned), 'generation')} that nobody knows" if orphans else done)
