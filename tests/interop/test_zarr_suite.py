"""Zarr's own tests of a store, on a stored wavefunction."""

from __future__ import annotations

import json
import pickle
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, cpu
from zarr.core.sync import sync
from zarr.testing.store import StoreTests

from qwf_async.zarr_store import ZarrStore
from tests.conftest import Server
from tests.support.loads import ask, published, wave
from tests.support.zarrs import PROTOTYPE, ingested, tile_key

pytestmark = pytest.mark.anyio

CHUNK = "psi/c/0/100/0/10"
OTHER = "psi/c/0/100/0/11"
DATA = bytes(range(16))


@pytest.fixture(scope="module", autouse=True)
def _zarr_loop() -> None:
    """Zarr's event loop, which stays: started before what a test leaves open is counted."""
    sync(anyio.lowlevel.checkpoint())


class TestZarrSuite(StoreTests[ZarrStore, Buffer]):
    """Zarr's own tests of a store, those that apply to one that is read only.

    Their data is put on the server behind the store's back. Tiles of one point take any 16
    bytes as a value; the suite's own keys, and values of other lengths, cannot be, so its
    parameters are replaced by ours. Not taken over (below the class) is what writes through
    the store, or puts in keys of its own choice: what that asks of listing, existence,
    emptiness and JSON is asked by tests of ours under the same names, of the keys there are.
    """

    store_cls = ZarrStore
    buffer_cls = cpu.Buffer
    server: Server

    @pytest.fixture
    def store_kwargs(self, server: Server) -> dict[str, Any]:
        self.server = server
        psi = wave(1, 101, 1, 12)
        stored = anyio.run(lambda: ingested(server, psi, layout="tile", tile=(1, 1, 1)))
        return {"psi": stored, "tiles": True}

    @pytest.fixture
    def store_not_open(self, store_kwargs: dict[str, Any]) -> Any:
        with ZarrStore(**store_kwargs) as store:
            yield store

    @pytest.fixture
    def store(self, open_kwargs: dict[str, Any]) -> Any:
        with sync(ZarrStore.open(**open_kwargs)) as store:
            yield store

    async def set(self, store: ZarrStore, key: str, value: Buffer) -> None:
        _, field = key.split("/", 1)
        assert ask(self.server, "HSET", tile_key(self.server), field, value.to_bytes()) == 0

    async def get(self, store: ZarrStore, key: str) -> Buffer:
        raise NotImplementedError  # asked for by tests of writing only

    def test_store_repr(self, store: ZarrStore) -> None:
        assert repr(store) == f"ZarrStore('{self.server.url}/qwf:psi:{published(self.server)}')"

    def test_store_supports_writes(self, store: ZarrStore) -> None:
        assert not store.supports_writes
        assert not store.supports_deletes

    def test_store_supports_listing(self, store: ZarrStore) -> None:
        assert store.supports_listing

    def test_store_read_only(self, store: ZarrStore) -> None:
        assert store.read_only
        reader = store.with_read_only(True)
        assert reader == store
        assert not reader._is_open
        with pytest.raises(AttributeError):
            store.read_only = False  # type: ignore[misc] # that it is one is what is tested

    async def test_serializable_store(self, store: ZarrStore) -> None:
        await self.set(store, CHUNK, cpu.Buffer.from_bytes(DATA))
        with pickle.loads(pickle.dumps(store)) as copy:  # noqa: S301 # our own, made here
            assert copy == store
            assert copy.read_only == store.read_only
            assert (await copy.get(CHUNK, PROTOTYPE)).to_bytes() == DATA

    async def test_store_open_read_only(self, open_kwargs: dict[str, Any]) -> None:
        await super().test_store_open_read_only(open_kwargs, True)

    @pytest.mark.parametrize("key", [CHUNK, OTHER])
    @pytest.mark.parametrize("data", [DATA])
    @pytest.mark.parametrize(
        "byte_range",
        [None, RangeByteRequest(1, 4), RangeByteRequest(10, 99), OffsetByteRequest(1), SuffixByteRequest(3),
         SuffixByteRequest(99)],
    )  # fmt: skip
    async def test_get(self, store: ZarrStore, key: str, data: bytes, byte_range: ByteRequest | None) -> None:
        await super().test_get(store, key, data, byte_range)  # type: ignore[arg-type] # None is one of Zarr's

    async def test_get_not_open(self, store_not_open: ZarrStore) -> None:
        assert not store_not_open._is_open
        await self.test_get(store_not_open, CHUNK, DATA, None)

    async def test_get_raises(self, store: ZarrStore) -> None:
        with pytest.raises((ValueError, TypeError), match=r"Unexpected byte_range, got.*"):
            await store.get(CHUNK, PROTOTYPE, byte_range=(0, 2))  # type: ignore[arg-type] # what is tested

    @pytest.mark.parametrize(
        "key_ranges",
        [
            [],
            [(CHUNK, RangeByteRequest(0, 2))],
            [(CHUNK, RangeByteRequest(0, 2)), (OTHER, None)],
            [(CHUNK, SuffixByteRequest(2)), (OTHER, OffsetByteRequest(2)), (CHUNK, RangeByteRequest(2, 9))],
        ],
    )
    async def test_get_partial_values(
        self, store: ZarrStore, key_ranges: list[tuple[str, ByteRequest]]
    ) -> None:
        await super().test_get_partial_values(store, key_ranges)

    @pytest.mark.parametrize("key", [CHUNK, OTHER])
    @pytest.mark.parametrize("data", [DATA])
    async def test_getsize(self, store: ZarrStore, key: str, data: bytes) -> None:
        await super().test_getsize(store, key, data)

    async def test_getsize_prefix(self, store: ZarrStore) -> None:
        assert await store.getsize_prefix("psi/c/0/100/") == 12 * 16
        assert await store.getsize_prefix("psi/") == 101 * 12 * 16 + await store.getsize("psi/zarr.json")

    async def test_get_many(self, store: ZarrStore) -> None:
        keys = [CHUNK, OTHER, "zarr.json", "y/c/0", "nothing"]
        for key, data in ((CHUNK, DATA), (OTHER, DATA[::-1])):
            await self.set(store, key, cpu.Buffer.from_bytes(data))
        found = {key: value async for key, value in store._get_many((key, PROTOTYPE, None) for key in keys)}
        values = [value and value.to_bytes() for value in found.values()]
        assert list(found) == keys
        assert values[:2] == [DATA, DATA[::-1]]
        assert values[3:] == [bytes(8), None]

    async def test_exists(self, store: ZarrStore) -> None:
        assert not await store.exists("foo")
        assert not await store.exists("psi")
        assert await store.exists("psi/zarr.json")
        assert await store.exists(CHUNK)

    async def test_is_empty(self, store: ZarrStore) -> None:
        assert not await store.is_empty("")
        assert not await store.is_empty("psi")
        assert not await store.is_empty("psi/c/0/100/")
        assert await store.is_empty("ps")
        assert await store.is_empty("spam/")

    async def test_list(self, store: ZarrStore) -> None:
        keys = [key async for key in store.list()]
        assert len(keys) == len(set(keys)) == 1 + 5 + 4 + 101 * 12
        assert [key async for key in store.list_prefix("")] == keys
        for key in keys:
            assert await store.exists(key)

    async def test_list_dir(self, store: ZarrStore) -> None:
        async def inside(folder: str) -> set[str]:
            return {name async for name in store.list_dir(folder)}

        assert await inside("") == {"psi", "t", "x", "y", "z", "zarr.json"}
        assert await inside("psi") == {"c", "zarr.json"}
        assert await inside("psi/c/0/100/0/") == set(map(str, range(12)))
        assert await inside("spam") == set()

    async def test_get_bytes(self, store: ZarrStore) -> None:
        document = await store._get_bytes("psi/zarr.json", prototype=PROTOTYPE)
        assert json.loads(document) == await store._get_json("psi/zarr.json", prototype=PROTOTYPE)
        with pytest.raises(FileNotFoundError):
            await store._get_bytes("nonexistent_key", prototype=PROTOTYPE)

    def test_get_json_sync(self, store: ZarrStore) -> None:
        document = store._get_json_sync("zarr.json", prototype=PROTOTYPE)
        assert document["node_type"] == "group"
        assert document["attributes"]["name"] == "psi"


AS_THEY_ARE = {
    "test_store_supports_partial_writes",
    "test_store_type",
    "test_store_eq",
    "test_store_context_manager",
    "test_read_only_store_raises",
    "test_with_read_only_store",
    "test_getsize_raises",
}
for _name in [name for name in vars(StoreTests) if name.startswith("test_")]:
    if _name not in AS_THEY_ARE and _name not in vars(TestZarrSuite):
        setattr(TestZarrSuite, _name, None)
