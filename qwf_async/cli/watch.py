"""`qwf watch` shows what happens on a server, and keeps its memory below the watermark, until a signal."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import Interrupted, UsageError
from .jobs import run_on_store
from .metrics_options import ListenOption, MetricsFileOption, measured
from .options import JsonOption, QuietOption, ServerOptions, with_option_groups
from .output import say

if TYPE_CHECKING:
    from ..store.store import Store

LEAST_INTERVAL = 0.1
"""Seconds between two samples, at least."""


@with_option_groups
def watch(
    *,
    interval: Annotated[
        float, typer.Option("--interval", help="Seconds between two samples; 0.1 at least.")
    ] = 1.0,
    once: Annotated[
        bool, typer.Option("--once", help="Show one sample and end: nothing is cleaned, nothing replayed.")
    ] = False,
    listen: ListenOption = None,
    metrics_file: MetricsFileOption = None,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Keep watching a server until a signal: what it does, its loads and spools; clean above the watermark.

    On a terminal a live page is shown; with --json, one object a line. SIGTERM, with which a
    service is stopped, is its proper end (exit 0); SIGINT and SIGHUP exit with 130 and 129.

    \b
    Examples:
      qwf watch --interval 5 --json >> server.jsonl
      qwf watch --once
      qwf watch --listen 127.0.0.1:9464 --quiet
    """
    if not LEAST_INTERVAL <= interval < float("inf"):
        raise UsageError(f"--interval {interval:g} is no time between samples: give seconds, at least 0.1")
    if once and listen is not None:
        raise UsageError("--once and --listen contradict each other: choose one")

    async def job(store: Store) -> None:
        from ..ingesting.watch_server import look_once, watch_server
        from .server_view import shown_once, shown_server

        watermark = store.settings.high_watermark
        if once:
            async with metrics.on(store) as hooks:
                with shown_once(as_json=as_json, watermark=watermark) as hook:
                    await look_once(store, hooks=(hook, *hooks))
            return
        async with metrics.on(store) as hooks:
            with shown_server(as_json=as_json, quiet=quiet, watermark=watermark) as hook:
                await watch_server(store, hooks=(hook, *hooks), interval=interval)

    with measured(listen, metrics_file, quiet=quiet) as metrics:
        try:
            run_on_store(job, server_options, quiet=quiet, reading=once)
        except Interrupted as ended:
            if ended.signum != signal.SIGTERM:
                raise
            if not quiet:
                say(str(ended))
