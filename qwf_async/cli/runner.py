"""What every command needs to begin: its settings, and an event loop."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from ..wording import printable
from .options import Where

if TYPE_CHECKING:
    from ..errors import QwfError
    from ..events import Event, Hook
    from ..settings import Settings
    from ..store.store import Store

T = TypeVar("T")


def run(job: Callable[[], Awaitable[T]]) -> T:
    """Run one asynchronous job on uvloop and return its result."""
    import anyio

    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # set by `main` for the time until now
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return anyio.run(job, backend="asyncio", backend_options={"use_uvloop": sys.platform != "win32"})


def on_store(job: Callable[[Store], Awaitable[T]], where: Where, *, quiet: bool = False, **flags: Any) -> T:
    """Connect by the settings, with more of them in `flags`, run a job on the store, and return its result.

    Says in one line if the embedded server had to be started, unless `quiet`.
    """
    from ..settings import load

    settings: Settings = load(where.config, said=say, **where.flags, **flags)

    async def connected() -> T:
        from ..store.store import connect

        async with connect(settings=settings) as store:
            if store.embedded is not None and store.embedded.started and not quiet:
                say(f"started the embedded server, data in {settings.data_dir}; 'qwf server stop' ends it")
            return await job(store)

    return run(connected)


def say(text: str) -> None:
    """A message for the user, a line on standard error; what would move the cursor is escaped."""
    typer.echo(printable(text), err=True)


def told(*, quiet: bool) -> Hook:
    """A hook that says what is noted, unless `quiet`."""
    from ..events import Noted

    def hook(event: Event) -> None:
        if isinstance(event, Noted) and not quiet:
            say(event.text)

    return hook


def show(text: str) -> None:
    """A line of a result, on standard output; what would move the cursor is escaped."""
    typer.echo(printable(text))


def raise_first(failed: Sequence[QwfError]) -> None:
    """Raise the first error of several, if there is any, whose code is the exit code; the others are said."""
    for error in failed[1:]:
        say(f"qwf: {error}")
    if failed:
        raise failed[0]


def print_json(value: Any) -> None:
    """A result, on standard output, in ASCII: any terminal and any file takes it, whatever is in a name.

    Not-a-number becomes null: JSON has no word for it.
    """
    typer.echo(json.dumps(_finite(value)))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
