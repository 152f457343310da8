"""`qwf ls`, `info` and `rm`: what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidInput, QwfError, Refused
from .facts import print_facts
from .options import Json, Quiet, Where, on_server
from .resume import open_stored
from .runner import on_store, print_json, raise_first, say, show, told

if TYPE_CHECKING:
    from ..store.store import Entry, Store


@on_server
def ls(*, where: Where, as_json: Json = False) -> None:
    """List the wavefunctions: name, shape (t,x,y,z), points, layout, codec, when, and loads under way.

    \b
    Example: qwf ls --json
    """

    async def job(store: Store) -> list[Entry]:
        return await store.entries()

    entries = on_store(job, where)
    rows = [_row(entry) for entry in entries]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        shape = "×".join(str(size) for size in row["shape"]) if row["shape"] else "-"
        show(
            f"{row['name']:24} {shape:>18} {row['points'] or 0:>14,} {row['layout'] or '-':7} "
            f"{row['codec'] or '-':7} {row['created'] or '-'}{' ' + row['note'] if row['note'] else ''}"
        )


def _row(entry: Entry) -> dict[str, Any]:
    manifest = entry.manifest
    return {
        "name": entry.name,
        "generation": manifest and manifest.generation,
        "layout": manifest and manifest.form.layout,
        "codec": manifest and manifest.form.codec,
        "shape": manifest and list(manifest.grid.shape),
        "points": manifest and manifest.points,
        "norm": manifest and manifest.norm,
        "created": manifest and manifest.created,
        "note": entry.note,
    }


@on_server
def info(
    name: Annotated[str | None, typer.Argument(help="Name of a wavefunction.", show_default=False)] = None,
    server: Annotated[bool, typer.Option("--server", help="About the server and the connections.")] = False,
    *,
    where: Where,
    as_json: Json = False,
) -> None:
    """Say what is known of a wavefunction, or of the server.

    \b
    Examples:
      qwf info hydrogen
      qwf info --server --json
    """
    if name is None and not server:
        raise typer.BadParameter("give the name of a wavefunction, or --server")

    async def job(store: Store) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        if name is not None:
            facts |= await (await open_stored(store, name)).info()
        if server:
            facts |= {"server": await store.server_info()}
        return facts

    facts = on_store(job, where)
    if as_json:
        print_json(facts)
        return
    print_facts(facts | facts.pop("server", {}))


@on_server
def rm(
    names: Annotated[list[str], typer.Argument(help="Names of wavefunctions.", show_default=False)],
    damaged: Annotated[
        bool,
        typer.Option(
            "--damaged", help="Delete only records that cannot be read; data that they meant stays."
        ),
    ] = False,
    *,
    where: Where,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Delete wavefunctions, and their unfinished loads; a name that is not there does not spare the others.

    \b
    Example: qwf rm hydrogen packet
    """
    removed: list[str] = []
    failed: list[QwfError] = []

    async def job(store: Store) -> None:
        for name in names:
            try:
                if damaged:
                    removed.extend(await store.remove_damaged(name))
                else:
                    await _remove(store, name, quiet=quiet)
                    removed.append(name)
            except (InvalidInput, Refused) as error:
                failed.append(error)

    on_store(job, where, quiet=quiet)
    if as_json:
        print_json({"removed": removed})
    elif removed and not quiet:
        rest = (
            "; what data they meant is not known, and what there is of it stays: "
            "the keys begin with the prefix and the name"
        )
        say(f"removed {', '.join(removed)}{rest if damaged else ''}")
    raise_first(failed)


async def _remove(store: Store, name: str, *, quiet: bool) -> None:
    """Remove a name, and what waits in spools of it; a spool alone is something to remove, too."""
    from ..ingesting.leftover_spools import drop_expendable

    absent = None
    try:
        await store.remove(name)
    except InvalidInput as error:
        absent = error
    dropped = await drop_expendable(store, name, hook=told(quiet=quiet), removed=True)
    if absent is not None and not dropped:
        raise absent
