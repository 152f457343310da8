"""`--listen` and `--metrics-file`, by which a command tells Prometheus what happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import first_error
from .output import say

if TYPE_CHECKING:
    from ..events import Hook
    from ..store.store import Store

ListenOption = Annotated[
    str | None,
    typer.Option(
        "--listen",
        metavar="HOST:PORT",
        help="Serve /metrics for Prometheus, and /health, as at 127.0.0.1:9464.",
        show_default=False,
    ),
]
MetricsFileOption = Annotated[
    Path | None,
    typer.Option(
        "--metrics-file",
        metavar="FILE",
        help="Write metrics into a file, for node exporter's textfile collector.",
        show_default=False,
    ),
]


def check_metrics(listen: str | None, file: Path | None) -> None:
    """Raise UsageError if one of the options cannot be used, before anything is begun."""
    if listen is not None:
        from ..metrics.serving import place_of

        place_of(listen)
    if file is not None:
        from ..metrics.text import check_place

        check_place(file)


@asynccontextmanager
async def metrics_hooks(
    store: Store, listen: str | None, file: Path | None, *, name: str = "", quiet: bool
) -> AsyncIterator[Sequence[Hook]]:
    """The hook that counts, if metrics are asked for: they are served and written while the block runs."""
    if listen is None and file is None:
        yield ()
        return
    from ..metrics.metrics import Metrics
    from ..metrics.serving import serving_metrics
    from ..metrics.text import writing_file

    metrics = Metrics(name)
    metrics.add_store(store)
    try:
        async with AsyncExitStack() as open_now:
            if listen is not None:
                address = await open_now.enter_async_context(serving_metrics(metrics, listen))
                if not quiet:
                    say(f"metrics at {address}")
            if file is not None:
                await open_now.enter_async_context(writing_file(metrics, file))
            yield (metrics,)
    except BaseExceptionGroup as group:
        raise first_error(group) from group
