"""`qwf ls` lists the wavefunctions that are stored, and the loads under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from .jobs import run_on_store
from .listing import ORDERS, Listed, lines_of
from .options import JsonOption, ServerOptions, one_of, with_option_groups
from .output import print_json, show

if TYPE_CHECKING:
    from ..store.store import Store


@with_option_groups
def ls(
    *,
    order: Annotated[
        str,
        typer.Option(
            "--sort",
            help="By name, size (largest first) or age (newest first).",
            autocompletion=one_of("name", "size", "age"),
        ),
    ] = "name",
    server_options: ServerOptions,
    as_json: JsonOption = False,
) -> None:
    """List the wavefunctions: shape (t×x×y×z), layout, codec, memory on the server, age and state.

    The memory is about what it takes, by a small sample. Of a load it says how much is stored, who
    works on it, and how it goes on if nobody does.

    \b
    Example: qwf ls --sort size
    """
    if order not in ORDERS:
        raise UsageError(f"--sort {order!r} is none of {', '.join(ORDERS)}")

    async def job(store: Store) -> list[Listed]:
        spools = await _spools(store)
        entries = {entry.name: entry for entry in await store.entries(measured=True)}
        names = sorted({*entries, *spools})
        return [Listed(name=name, entry=entries.get(name), spools=spools.get(name, [])) for name in names]

    nothing: list[Listed] = []
    listed = sorted(run_on_store(job, server_options, reading=True, nothing=nothing), key=ORDERS[order])
    if as_json:
        print_json([one.to_json() for one in listed])
        return
    for line in lines_of(listed):
        show(line)


async def _spools(store: Store) -> dict[str, list[str]]:
    """Name → the spools that have a load of it."""
    from anyio.to_thread import run_sync

    found: dict[str, list[str]] = {}
    directory = store.settings.spool_directory
    if not await run_sync(lambda: directory.exists() and any(directory.iterdir())):
        return found
    from ..ingesting.leftover_spools import waiting_spools  # heavy, and hardly ever needed

    for spool in await waiting_spools(store):
        if spool.head is not None:
            found.setdefault(spool.head.name, []).append(str(spool.path))
    return found
