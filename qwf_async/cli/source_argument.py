"""The SOURCE of a command, opened at once; a hash on the server is opened when the server is reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ..errors import Interrupted
from .options import SourceOptions
from .output import say

if TYPE_CHECKING:
    from ..source import Source
    from ..store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceArgument:
    """A source that is open (`local`), or else the `key` of a hash of the old project and how to read it."""

    local: Source | None
    key: str | None
    options: SourceOptions

    async def on(self, store: Store, *, warn: bool = False) -> Source:
        """The source; a hash of the old project is opened on the server of the store. Raises as `open_old_hash`.

        With `warn` the warnings about such a hash are said; an ingest says them by itself.
        """
        if self.local is not None:
            return self.local
        from ..source.text import extents_of
        from ..store.old_hash import open_old_hash

        box = None if self.options.box is None else extents_of(self.options.box)
        old_hash = await open_old_hash(store, str(self.key), box=box, dt=self.options.dt)
        for text in old_hash.warnings() if warn else ():
            say(f"warning: {text}")
        return old_hash


@contextmanager
def opened_source(source: str, options: SourceOptions) -> Iterator[SourceArgument]:
    """The source that a command was given, with its options; it is closed in the end. Raises as `open_source`."""
    from ..source import open_source
    from ..source.text import old_hash_of

    key = old_hash_of(source, grid=options.grid, frames=options.frames, dims=options.dims)
    local = None if key else open_source(source, **asdict(options))
    try:
        yield SourceArgument(local=local, key=key, options=options)
    except Interrupted:
        local = None  # closing it would wait for a thread that may read for long, and the process ends now
        raise
    finally:
        if local is not None:
            local.close()
