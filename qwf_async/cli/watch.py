"""`qwf watch` shows the memory of a server, and keeps it below the watermark, until a signal."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from ..errors import Interrupted
from .jobs import run_on_store
from .options import JsonOption, QuietOption, ServerOptions, with_option_groups
from .output import say

if TYPE_CHECKING:
    from ..store.store import Store


@with_option_groups
def watch(*, server_options: ServerOptions, as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """Keep watching a server until a signal: its memory, and cleaning above the watermark.

    On a terminal a live view is shown; with --json, one object a line. SIGTERM, with which a
    service is stopped, is its proper end (exit 0); SIGINT and SIGHUP exit with 130 and 129.

    \b
    Example: qwf watch --json >> server.jsonl
    """

    async def job(store: Store) -> None:
        from ..ingesting.watch_server import watch_server
        from .server_view import shown_server

        with shown_server(as_json=as_json, quiet=quiet) as hook:
            await watch_server(store, hook=hook)

    try:
        run_on_store(job, server_options, quiet=quiet)
    except Interrupted as ended:
        if ended.signum != signal.SIGTERM:
            raise
        if not quiet:
            say(str(ended))
