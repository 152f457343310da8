"""The connections of a store, shared by the wavefunctions that were opened of it."""

from __future__ import annotations

from ..client.address import Address
from ..client.pool import Pool
from ..errors import STORE_CLOSED, UsageError
from ..wire.arena import Arena


class StorePool:
    """The pool of a store, until the store is closed, and memory that all reads of it use in turn.

    Each wavefunction would keep some 30 MB of its own as long as somebody holds it.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._closed = False
        self.arena = Arena()

    @property
    def pool(self) -> Pool:
        """The connections. Raises UsageError once the store is closed."""
        if self._closed:
            raise UsageError(STORE_CLOSED)
        return self._pool

    @property
    def address(self) -> Address:
        """Where the server is, also of a closed store."""
        return self._pool.address

    async def aclose(self) -> None:
        """Close the connections. May be called twice."""
        self._closed = True
        await self._pool.aclose()
