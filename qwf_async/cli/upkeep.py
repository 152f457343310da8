"""`qwf clean` and `qwf watch`: keeping a server in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .options import Json, Quiet, Where, on_server
from .runner import on_store, print_json, say

if TYPE_CHECKING:
    from ..cleaning import Cleaned
    from ..store import Store


@on_server
def clean(*, where: Where, as_json: Json = False, quiet: Quiet = False) -> None:
    """Remove what is expendable: scratch data, superseded generations, loads abandoned for long.

    \b
    Example: qwf clean --url redis://localhost
    """

    async def job(store: Store) -> Cleaned:
        return await store.clean()

    cleaned = on_store(job, where, quiet=quiet)
    if as_json:
        print_json(cleaned.to_json())
    elif not quiet:
        say(f"cleaned {cleaned.describe()}")


@on_server
def watch(*, where: Where, as_json: Json = False, quiet: Quiet = False) -> None:
    """Keep watching a server until a signal: its memory, and cleaning above the watermark.

    On a terminal a live view is shown; with --json, one object a line.

    \b
    Example: qwf watch --json >> server.jsonl
    """

    async def job(store: Store) -> None:
        from ..engine.serving import serve
        from .view import shown_server

        with shown_server(as_json=as_json, quiet=quiet) as hook:
            await serve(store, hook=hook)

    on_store(job, where, quiet=quiet)
