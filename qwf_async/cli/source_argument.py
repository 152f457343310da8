"""The SOURCE of a command, opened at once; what is on the server is opened when the server is reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from ..errors import Interrupted
from .options import SourceOptions
from .output import say

if TYPE_CHECKING:
    from ..source import Source
    from ..store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceArgument:
    """A source that is open (`local`), or else the text of one on the server, and how to read it.

    It is on the server as a hash of the old project, or because it begins with a stored wavefunction.
    """

    local: Source | None
    text: str
    options: SourceOptions
    opened: list[Source] = field(default_factory=list)

    async def on(self, store: Store, *, warn: bool = False) -> Source:
        """The source; what is on the server of the store is opened there. Raises as `source_on`.

        With `warn` the warnings about what is on the server are said; an ingest says them by itself.
        """
        if self.local is not None:
            return self.local
        from ..source.base import warnings_of
        from ..store.stored_frame import source_on

        source = await source_on(store, self.text, **asdict(self.options))
        self.opened.append(source)
        for text in warnings_of(source) if warn else ():
            say(f"warning: {text}")
        return source


@contextmanager
def opened_source(source: str, options: SourceOptions) -> Iterator[SourceArgument]:
    """The source that a command was given, with its options; it is closed in the end. Raises as `open_source`."""
    from ..source import open_source
    from ..source.text import old_hash_of, stored_initial_of

    key = old_hash_of(source, grid=options.grid, frames=options.frames, dims=options.dims)
    on_server = key is not None or stored_initial_of(source, options.units) is not None
    local = None if on_server else open_source(source, **asdict(options))
    argument = SourceArgument(local=local, text=source, options=options)
    if local is not None:
        argument.opened.append(local)
    try:
        yield argument
    except Interrupted:
        argument.opened.clear()  # closing would wait for a thread that may read for long, and the process ends now
        raise
    finally:
        for each in argument.opened:
            each.close()
