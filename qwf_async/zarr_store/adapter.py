"""A wavefunction behind Zarr's interface of a store: metadata from the manifest, chunks of ψ from the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from copy import copy
from typing import Any

from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype

# Zarr has no public name for its loop, and `sync` alone cannot be awaited on another loop.
from zarr.core.sync import _get_loop, sync

from ..catalog.keys import Keys
from ..errors import Refused, UsageError
from ..settings import Settings
from ..store.connecting import connect, pool_to
from ..store.wavefunction import Wavefunction
from ..wire.batch import Buffer as Value
from .chunks import Chunks
from .hierarchy import PSI, ChunkIndex, Hierarchy, coordinate_chunk


class ZarrStore(Store):
    """A wavefunction as a Zarr v3 hierarchy, read only: `psi` [t, x, y, z] and its coordinates.

    `psi` is complex128, or complex64 for codec c8. A chunk is what is read fastest: all tiles of a
    hash of layout tile, 262,144 points, and of the others a box of about 65,536 points. It is read
    and put together, so small selections cost the whole chunk. With `tiles`, for layout tile, a
    chunk is a tile, returned as it is stored; Zarr then takes about a millisecond for each.
    `t`, `x`, `y`, `z` are float64, with their unit as attribute `units`, or indices if the spacing
    is not known.

    Everything but chunks of ψ comes from the manifest: nothing is listed on the server. A chunk
    that is missing or malformed there raises DamagedData. It never reads as zeros, as a missing
    chunk does in Zarr. If the wavefunction was replaced or removed since it was opened, and its
    data is gone, reading raises Refused.

    A connection belongs to one event loop, so all reading happens on Zarr's own loop, which runs
    in a thread as long as the process does. `zarr.open`, xarray and dask work there anyway, and
    a `get` on any other loop waits for it. The store has connections of its own, opened when they
    are first needed, and does not use those that `psi` came from. `close`, or the end of a `with`
    block, closes them. When the store is opened again, as `zarr.open` does, it can be read again.
    A pickle holds the address with its password, and no connection.
    """

    supports_writes = False
    supports_deletes = False
    supports_listing = True
    supports_consolidated_metadata = False

    def __init__(self, psi: Wavefunction, *, tiles: bool = False, read_only: bool = True) -> None:
        """`read_only` is Zarr's; UsageError is raised if it is False, and for `tiles` of a layout without."""
        if not read_only:
            raise UsageError("a stored wavefunction is read only through Zarr: change it with update")
        super().__init__(read_only=True)
        self._address = psi.address
        self._settings = psi.settings
        self._manifest = psi.manifest
        self._keys = Keys(prefix=self._settings.prefix, name=psi.name)
        self._hierarchy = Hierarchy.of(psi.name, psi.manifest, tiles=tiles)
        self._closed = False
        self._opened: tuple[asyncio.AbstractEventLoop, Chunks] | None = None

    async def _open(self) -> None:
        await super()._open()
        self._closed = False

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_is_open": False, "_closed": False, "_opened": None}

    def __eq__(self, other: object) -> bool:
        """Whether both read the same generation from the same server, in the same chunks."""
        return isinstance(other, ZarrStore) and self._identity == other._identity

    def __str__(self) -> str:
        keys = self._keys
        return f"{self._address.shown}/{keys.prefix}:{keys.name}:{self._manifest.generation}"

    def __repr__(self) -> str:
        return f"ZarrStore('{self}')"

    def with_read_only(self, read_only: bool = False) -> Store:
        if not read_only:
            return super().with_read_only(read_only)  # raises NotImplementedError, as Zarr has it
        return copy(self)

    def close(self) -> None:
        """Close the connections. Reading, also what is under way in another thread, then raises Refused."""
        super().close()
        self._closed = True
        sync(self._disconnect())

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The value under a key; None only for what the hierarchy does not have.

        Raises DamagedData, Refused or ServerUnavailable if a chunk of ψ cannot be had.
        """
        value: Value | None = self._hierarchy.document(key)
        if value is None and (chunk := self._hierarchy.chunk(key)):
            name, index = chunk
            if name == PSI:
                value = await _on_zarr_loop(self._fetch(index))
            else:
                array = self._hierarchy.arrays[name]
                value = coordinate_chunk(self._manifest.grid, name, array, index)
        return None if value is None else prototype.buffer.from_bytes(_range(value, byte_range))

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def getsize(self, key: str) -> int:
        """Bytes of a value, without reading it. Raises FileNotFoundError if there is no such key."""
        if chunk := self._hierarchy.chunk(key):
            return self._hierarchy.arrays[chunk[0]].nbytes
        document = self._hierarchy.document(key)
        if document is None:
            raise FileNotFoundError(key)
        return len(document)

    async def exists(self, key: str) -> bool:
        return self._hierarchy.document(key) is not None or self._hierarchy.chunk(key) is not None

    async def list(self) -> AsyncIterator[str]:
        for key in self._hierarchy.keys(""):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        for key in self._hierarchy.keys(prefix):
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        for name in self._hierarchy.children(prefix):
            yield name

    async def set(self, key: str, value: Buffer) -> None:
        """Raises ValueError: the store is read only."""
        self._check_writable()

    async def delete(self, key: str) -> None:
        """Raises ValueError: the store is read only."""
        self._check_writable()

    @property
    def _identity(self) -> tuple[object, ...]:
        return self._address, self._keys, self._manifest.generation, self._hierarchy.arrays[PSI].chunk

    async def _fetch(self, index: ChunkIndex) -> Value:
        """A chunk of ψ. Called on Zarr's loop."""
        if self._closed:  # zarr asks for more chunks after one of them failed
            raise Refused(f"{self} was closed: open it again")
        loop = asyncio.get_running_loop()
        if self._opened is None or self._opened[0] is not loop:
            pool = pool_to(self._address, self._settings)
            chunks = Chunks.of(
                pool,
                self._keys,
                self._manifest,
                self._hierarchy.arrays[PSI],
                from_replicas=self._settings.read_from == "replica",
            )
            self._opened = (loop, chunks)
        return await self._opened[1].get(index)

    async def _disconnect(self) -> None:
        """Close the connections. Called on Zarr's loop, after all earlier reads."""
        opened, self._opened = self._opened, None
        # After a fork the loop is another one, and the connections belong to the parent.
        if opened and opened[0] is asyncio.get_running_loop():
            await opened[1].aclose()


def open_store(
    name: str, url: str | None = None, *, tiles: bool = False, settings: Settings | None = None
) -> ZarrStore:
    """The store of a published wavefunction, for code that is not asynchronous.

    Server and errors as for `connect` and `Store.open`, `tiles` as for `ZarrStore`. Asynchronous
    code has `ZarrStore(await store.open(name))`.
    """

    async def opened() -> ZarrStore:
        async with connect(url, settings=settings) as store:
            return ZarrStore(await store.open(name), tiles=tiles)

    return sync(opened())


async def _on_zarr_loop(work: Coroutine[Any, Any, Value]) -> Value:
    loop = _get_loop()
    if asyncio.get_running_loop() is loop:
        return await work
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))


def _range(value: Value, request: ByteRequest | None) -> Value:
    match request:
        case None:
            return value
        case RangeByteRequest(start, end):
            return value[start:end]
        case OffsetByteRequest(offset):
            return value[offset:]
        case SuffixByteRequest(suffix):
            return value[max(0, len(value) - suffix) :]
    # Zarr's own error and text, which its test suite expects.
    raise TypeError(f"Unexpected byte_range, got {request!r}")
