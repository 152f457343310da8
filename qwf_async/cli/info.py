"""`qwf info` shows all that is known of a wavefunction, or of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .completion import stored_names
from .fact_table import print_facts
from .jobs import run_on_store
from .options import JsonOption, ServerOptions, with_option_groups
from .output import print_json
from .stored_wavefunction import open_stored

if TYPE_CHECKING:
    from ..store.store import Store


@with_option_groups
def info(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of a wavefunction.", show_default=False, autocompletion=stored_names),
    ] = None,
    server: Annotated[bool, typer.Option("--server", help="About the server and the connections.")] = False,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
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

    facts = run_on_store(job, server_options, reading=True)
    if as_json:
        print_json(facts)
        return
    print_facts(facts | facts.pop("server", {}))
