"""`qwf ls`, `info` and `rm`: what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import ConfigFile, DataDir, Json, PasswordFile, Quiet, Url
from .resume import open_stored
from .runner import on_store, print_json, say

if TYPE_CHECKING:
    from ..store import Entry, Store

Name = Annotated[str, typer.Argument(help="Name of a wavefunction.", show_default=False)]


def ls(
    url: Url = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """List the wavefunctions: name, shape (t,x,y,z), points, layout, codec, when, and loads under way."""

    async def job(store: Store) -> list[Entry]:
        return await store.entries()

    entries = on_store(job, url=url, data_dir=data_dir, config=config, password_file=password_file)
    rows = [_row(entry) for entry in entries]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        shape = "×".join(str(size) for size in row["shape"]) if row["shape"] else "-"
        typer.echo(
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


def info(
    name: Annotated[str | None, typer.Argument(help="Name of a wavefunction.", show_default=False)] = None,
    server: Annotated[bool, typer.Option("--server", help="About the server and the connections.")] = False,
    url: Url = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """Say what is known of a wavefunction, or of the server."""
    if name is None and not server:
        raise typer.BadParameter("give the name of a wavefunction, or --server")

    async def job(store: Store) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        if name is not None:
            facts |= await (await open_stored(store, name)).info()
        if server:
            facts |= {"server": await store.server_info()}
        return facts

    facts = on_store(job, url=url, data_dir=data_dir, config=config, password_file=password_file)
    if as_json:
        print_json(facts)
        return
    for fact, value in (facts | facts.pop("server", {})).items():
        if fact == "connections":
            for count, number in value.items():
                typer.echo(f"connections {count:11} {'unknown' if number is None else f'{number:.6g}'}")
        elif fact == "axes":
            for axis in value:
                step = "unknown" if axis["step"] is None else f"{axis['step']:.6g}"
                typer.echo(
                    f"axis {axis['name']:11} origin {axis['origin']:.6g}, step {step} {axis['unit'] or ''}"
                )
        else:
            typer.echo(f"{fact:16} {'unknown' if value is None else value}")


def rm(
    names: Annotated[list[str], typer.Argument(help="Names of wavefunctions.", show_default=False)],
    damaged: Annotated[
        bool,
        typer.Option(
            "--damaged", help="Delete only records that cannot be read; data that they meant stays."
        ),
    ] = False,
    url: Url = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    password_file: PasswordFile = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Delete wavefunctions, and their unfinished loads."""

    async def job(store: Store) -> list[str]:
        if not damaged:
            for name in names:
                await store.remove(name)
            return []
        return [key for name in names for key in await store.remove_damaged(name)]

    records = on_store(
        job, url=url, data_dir=data_dir, config=config, password_file=password_file, quiet=quiet
    )
    if as_json:
        print_json({"removed": records if damaged else names})
    elif damaged and not quiet:
        say(
            f"removed {', '.join(records)}; what data they meant is not known, and what there is of it stays: "
            "the keys begin with the prefix and the name"
        )
    elif not quiet:
        say(f"removed {', '.join(names)}")
