"""A stored wavefunction for a command to read; one that waits in the spool is replayed first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import DataLost, InvalidInput

if TYPE_CHECKING:
    from ..store.store import Store
    from ..store.wavefunction import Wavefunction


async def open_stored(store: Store, name: str) -> Wavefunction:
    """The wavefunction of this name; if there is none, but one waits in the spool, that is replayed first.

    Raises InvalidInput if there is neither, or if the server has lost what was given to it before.
    """
    try:
        return await store.open(name)
    except InvalidInput as error:
        from ..ingesting.leftover_spools import waiting_spools

        not_published = error
        spools = [spool for spool in await waiting_spools(store, name) if spool.head is not None]
        if not spools:
            raise
    from ..ingesting.replay import replay
    from ..ingesting.shutdown import Shutdown

    for spool in spools:
        shutdown = Shutdown(drain_timeout=store.settings.drain_timeout)
        try:
            await replay(store, spool, shutdown, hook=lambda event: None)
        except DataLost as error:
            raise InvalidInput(f"{not_published}; {error}") from error
    return await store.open(name)
