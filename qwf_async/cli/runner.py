"""What every command needs to begin: its settings, and an event loop."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from ..settings import Settings
    from ..store import Store

T = TypeVar("T")


def run(job: Callable[[], Awaitable[T]]) -> T:
    """Run one asynchronous job on uvloop and return its result."""
    import anyio

    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # set by `main` for the time until now
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return anyio.run(job, backend="asyncio", backend_options={"use_uvloop": sys.platform != "win32"})


def on_store(
    job: Callable[[Store], Awaitable[T]],
    *,
    url: str | None,
    data_dir: Path | None,
    config: Path | None,
    password_file: Path | None,
    quiet: bool = False,
    **flags: Any,
) -> T:
    """Connect by the settings, run a job on the store, and return its result.

    Says in one line if the embedded server had to be started, unless `quiet`.
    """
    from ..settings import load

    settings: Settings = load(config, url=url, data_dir=data_dir, password_file=password_file, **flags)

    async def connected() -> T:
        from ..store import connect

        async with connect(settings=settings) as store:
            if store.embedded is not None and store.embedded.started and not quiet:
                say(f"started the embedded server, data in {settings.data_dir}; 'qwf server stop' ends it")
            return await job(store)

    return run(connected)


def say(text: str) -> None:
    """A message for the user, on standard error."""
    typer.echo(text, err=True)


def print_json(value: Any) -> None:
    """A result, on standard output. Not-a-number becomes null: JSON has no word for it."""
    typer.echo(json.dumps(_finite(value), ensure_ascii=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
