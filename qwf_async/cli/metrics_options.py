"""`--listen` and `--metrics-file`, by which a command tells Prometheus what happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import first_error
from .output import say

if TYPE_CHECKING:
    import socket

    from ..events import Hook
    from ..metrics import Metrics
    from ..store.store import Store

ListenOption = Annotated[
    str | None,
    typer.Option(
        "--listen",
        metavar="HOST:PORT",
        help="Serve /metrics for Prometheus, and /health, as at 127.0.0.1:9464. See 'qwf help metrics'.",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The metrics of a command, if they are asked for: the socket at which they are served, and their file."""

    metrics: Metrics | None = None
    sock: socket.socket | None = None
    listen: str = ""
    file: Path | None = None
    quiet: bool = False

    @asynccontextmanager
    async def on(self, store: Store) -> AsyncIterator[Sequence[Hook]]:
        """The hook that counts what happens on a store; the metrics are served and written while the block runs."""
        if self.metrics is None:
            yield ()
            return
        import anyio

        from ..metrics.serving import serving_metrics
        from ..metrics.text import keep_writing

        self.metrics.add_store(store)
        try:
            async with anyio.create_task_group() as tasks:
                if self.file is not None:
                    tasks.start_soon(keep_writing, self.metrics, self.file)
                if self.sock is None:
                    yield (self.metrics,)
                else:
                    async with serving_metrics(self.metrics, self.sock, self.listen) as address:
                        if not self.quiet:
                            say(f"metrics at {address}")
                        yield (self.metrics,)
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise first_error(group) from group


@contextmanager
def measured(listen: str | None, file: Path | None, *, quiet: bool) -> Iterator[Measured]:
    """What is asked for is checked, and the socket opened, before anything begins.

    The file is written when the block has ended, however it ended. Raises UsageError if there is no
    such place, if it cannot be used, or if a library is missing.
    """
    if listen is None and file is None:
        yield Measured()
        return
    from ..metrics import Metrics
    from ..metrics.serving import listening_at
    from ..metrics.text import check_place, write_file

    metrics = Metrics()
    if file is not None:
        check_place(file)
    sock = None if listen is None else listening_at(listen)
    success = False
    try:
        yield Measured(metrics=metrics, sock=sock, listen=listen or "", file=file, quiet=quiet)
        success = True
    finally:
        if sock is not None:
            sock.close()
        metrics.end(success=success)
        if file is not None:
            try:
                write_file(metrics, file)
            except OSError as error:
                say(f"warning: metrics were not written to {file}: {error.strerror or error}")
