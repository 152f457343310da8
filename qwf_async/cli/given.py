"""SOURCE as a command got it: opened at once, or, if it is on a server, when that is reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Interrupted
from .runner import say

if TYPE_CHECKING:
    from ..source import Source
    from ..store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A source that is `here`, or else the `key` of a hash of the old project with its extents and time step."""

    here: Source | None
    key: str | None
    box: str | None
    dt: float | None

    async def on(self, store: Store, *, tell: bool = False) -> Source:
        """The source; a hash of the old project is opened on the server of the store. Raises as `open_old_hash`.

        With `tell` what is skipped of such a hash is said; an ingest says it by itself.
        """
        if self.here is not None:
            return self.here
        from ..source.text import extents_of
        from ..store.old_hash import open_old_hash

        box = None if self.box is None else extents_of(self.box)
        hash_ = await open_old_hash(store, str(self.key), box=box, dt=self.dt)
        for text in hash_.warnings() if tell else ():
            say(f"warning: {text}")
        return hash_


@contextmanager
def given(
    source: str, *, grid: str | None, box: str | None, frames: int | None, dt: float | None, dims: str | None
) -> Iterator[Given]:
    """The source that a command got with its options; closed in the end. Raises as `open_source`."""
    from ..source import open_source
    from ..source.text import old_hash_of

    key = old_hash_of(source, grid=grid, frames=frames, dims=dims)
    here = None if key else open_source(source, grid=grid, box=box, frames=frames, dt=dt, dims=dims)
    try:
        yield Given(here=here, key=key, box=box, dt=dt)
    except Interrupted:
        here = None  # closing it waits for a thread that may read for long, and the process ends now
        raise
    finally:
        if here is not None:
            here.close()
