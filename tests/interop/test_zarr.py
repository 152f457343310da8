"""Stored wavefunctions through zarr, xarray and dask."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest
import xarray
import zarr
from zarr.core.sync import sync

import qwf_async
from qwf_async import Axis, DamagedData, Grid, InvalidInput, Refused, UsageError
from qwf_async.layout import LAYOUTS
from qwf_async.zarr_store import ZarrStore, open_store
from tests.conftest import PATIENCE, Server
from tests.support.loads import ask, group_keys, published, wave
from tests.support.zarrs import PROTOTYPE, dask_array, ingested, opened, put, reads, tile_key

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", autouse=True)
def _zarr_loop() -> None:
    """Zarr's event loop, which stays: started before what a test leaves open is counted."""
    sync(anyio.lowlevel.checkpoint())


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(700,), (9, 30), (5, 9, 11), (2, 9, 8, 17)], ids=str)
def test_zarr_reads_what_was_stored(
    each_server: Server, shape: tuple[int, ...], layout: str, order: Any
) -> None:
    psi = np.asarray(wave(*shape), order=order)
    with put(each_server, psi, layout=layout) as store:
        array = opened(store)
        assert array.dtype == np.complex128
        assert array.metadata.dimension_names == ("t", "x", "y", "z")  # type: ignore[union-attr] # format 3
        np.testing.assert_array_equal(array[:], psi.reshape(array.shape))


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if not LAYOUTS[name].zarr_chunks])
def test_layouts_without_tiles_are_read_in_boxes(server: Server, layout: str) -> None:
    psi = wave(2, 21, 11, 7)
    with put(server, psi, layout=layout) as store:
        array = opened(store)
        assert array.chunks == (1, 11, 11, 7)
        np.testing.assert_array_equal(array[:], psi)
        np.testing.assert_array_equal(array[1, 9:13, ::2, -1], psi[1, 9:13, ::2, -1])


@pytest.mark.parametrize("tile", [None, (4, 4, 4), (3, 1, 5)], ids=str)
def test_a_chunk_of_layout_tile_is_the_stored_tile(server: Server, tile: tuple[int, int, int] | None) -> None:
    psi = wave(2, 9, 10, 11)
    with put(server, psi, layout="tile", tile=tile, tiles=True) as store:
        array = opened(store)
        assert array.chunks == (1, *(tile or (8, 8, 8)))
        np.testing.assert_array_equal(array[:], psi)
        assert store != ZarrStore(anyio.run(lambda: ingested(server, psi, "other", layout="tile")))
        chunk = sync(store.get("psi/c/1/1/1/1", PROTOTYPE))
        assert chunk is not None
        assert chunk.to_bytes() == ask(server, "HGET", tile_key(server), "c/1/1/1/1")


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_chunk_is_all_tiles_of_a_hash_unless_tiles_are_wanted(server: Server, order: Any) -> None:
    psi = wave(3, 17, 10, 11).astype(np.complex128, order=order)
    with put(server, psi, layout="tile", tile=(4, 4, 4)) as store:
        array = opened(store)
        assert 1 < array.nchunks == len(group_keys(server, "t"))
        np.testing.assert_array_equal(array[:], psi)
        np.testing.assert_array_equal(array[1, 5:12, ::3, -1], psi[1, 5:12, ::3, -1])
        with pytest.raises(UsageError, match="layout flat has no tiles"):
            put(server, psi, "flat", layout="flat", tiles=True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_codec_c8_is_complex64(server: Server, layout: str) -> None:
    psi = wave(1, 5, 9, 11).astype(np.complex64)
    with put(server, psi, layout=layout, codec="c8") as store:
        array = opened(store)
        assert array.dtype == np.complex64
        np.testing.assert_array_equal(array[:], psi)


def test_text_is_read_as_numbers(server: Server) -> None:
    psi = np.round(wave(3, 5, 7), 3)
    with put(server, psi, codec="text10") as store:
        array = opened(store)
        assert array.dtype == np.complex128
        np.testing.assert_array_equal(array[0], psi)


def test_zeros_in_the_data_are_data(server: Server) -> None:
    with put(server, np.zeros((4, 4, 4), complex), layout="tile") as store:
        assert not xarray.open_zarr(store).psi.isnull().any()


@pytest.mark.parametrize("options", [{}, {"consolidated": False}], ids=str)
def test_xarray_finds_the_coordinates_of_the_grid(server: Server, options: dict[str, Any]) -> None:
    grid = Grid.of((8, 9, 1), box=(4.0, 18.0), frames=3, dt=0.25)
    psi = wave(3, 8, 9, 1)
    with put(server, psi, grid=grid, layout="tile") as store, xarray.open_zarr(store, **options) as data:
        assert data.psi.dims == ("t", "x", "y", "z")
        assert data.psi.sizes == {"t": 3, "x": 8, "y": 9, "z": 1}
        np.testing.assert_array_equal(data.t, [0, 0.25, 0.5])
        np.testing.assert_array_equal(data.x, -2 + 0.5 * np.arange(8))
        np.testing.assert_array_equal(data.y, -9 + 2.0 * np.arange(9))
        assert data.t.attrs == {"units": "hbar/Eh"}
        assert data.x.attrs == data.y.attrs == {"units": "bohr"}
        near = data.psi.sel(x=0.6, y=4.9, t=0.25, method="nearest").compute()
        np.testing.assert_array_equal(near, psi[1, 5, 7])


def test_an_unknown_spacing_gives_indices_without_a_unit(server: Server) -> None:
    with put(server, wave(5, 6, 7)) as store, xarray.open_zarr(store) as data:
        np.testing.assert_array_equal(data.y, np.arange(6.0))
        assert data.y.attrs == {"long_name": "index along y"}


def test_long_axes_have_coordinates_in_chunks(server: Server) -> None:
    grid = Grid(shape=(1, 70_000, 1, 1), axes=(Axis(), Axis(origin=1, step=0.5, unit="bohr"), Axis(), Axis()))
    with put(server, np.ones(70_000, complex), grid=grid, layout="tile") as store:
        x = opened(store, "x")
        assert x.chunks == (65_536,)
        np.testing.assert_array_equal(x[:], 1 + 0.5 * np.arange(70_000))


def test_attributes_say_what_it_is(server: Server) -> None:
    grid = Grid.cube(4, box=2.0)
    with put(server, np.ones((4, 4, 4), complex), grid=grid) as store:
        attributes = dict(zarr.open(store).attrs)
    created = attributes.pop("created")
    assert isinstance(created, str)
    assert attributes == {
        "name": "psi",
        "generation": published(server),
        "source": "array of complex128, shape (1, 4, 4, 4)",
        "norm": 8.0,
        "convention_index": "t,x,y,z",
        "convention_units": "hartree",
        "convention_hbar": 1,
        "convention_mass": 1,
        "convention_norm": "sum |psi|^2 dV",
    }


def test_dask_computes_the_same(each_server: Server) -> None:
    psi = wave(2, 20, 17, 9)
    with put(each_server, psi, layout="tile") as store:
        lazy = dask_array(store)
        density = (abs(lazy) ** 2).sum(axis=(1, 2, 3)).compute()
        np.testing.assert_allclose(density, (abs(psi) ** 2).sum(axis=(1, 2, 3)))
        with xarray.open_zarr(store) as data:
            np.testing.assert_array_equal(data.psi.compute(scheduler="threads"), psi)


def test_only_what_is_needed_is_fetched(server: Server) -> None:
    with put(server, wave(3, 33, 17, 40), layout="tile", tiles=True) as store:
        ask(server, "CONFIG", "RESETSTAT")
        array = opened(store)
        data = xarray.open_zarr(store)
        lazy = dask_array(store)[1, 16:24, :8, :]
        assert array.metadata.shape == data.psi.shape == (3, 33, 17, 40)
        np.testing.assert_array_equal(data.z, np.arange(40))
        assert reads(server) == {}
        array[2, 6:10, 6:10, 3]
        assert reads(server) == {"hmget": 4}
        data.psi.isel(t=0, x=32, y=slice(0, 16)).compute()
        assert reads(server) == {"hmget": 4 + 2 * 5}
        lazy.compute()
        assert reads(server) == {"hmget": 14 + 5}


@pytest.mark.usefixtures("small_chunks")
def test_of_layout_flat_one_box_is_fetched_for_a_point(server: Server) -> None:
    with put(server, wave(4, 10, 10, 10), layout="flat") as store:
        ask(server, "CONFIG", "RESETSTAT")
        array = opened(store)
        array[2, 3, 4, 5]
        assert array.chunks == (1, 10, 10, 10)
        assert reads(server) == {"dump": 1}  # the box is a slab, and comes whole


READERS: dict[str, Callable[[ZarrStore], object]] = {
    "zarr": lambda store: opened(store)[:],
    "xarray": lambda store: xarray.open_zarr(store).psi.values,
    "dask": lambda store: dask_array(store).sum().compute(),
}
readers = pytest.mark.parametrize("read", READERS.values(), ids=READERS)
FIELDS = {"flat": ("s", "x8_y9_z10_t1"), "packed": ("b15", "59"), "tile": ("t", "c/1/1/1/1")}


@readers
@pytest.mark.parametrize("layout", LAYOUTS)
def test_missing_data_raises(server: Server, layout: str, read: Callable[[ZarrStore], object]) -> None:
    with put(server, wave(2, 9, 10, 11), layout=layout) as store:
        key, field = FIELDS[layout]
        assert ask(server, "HDEL", f"qwf:psi:{{{published(server)}.0}}:{key}", field) == 1
        with pytest.raises(DamagedData, match=f":{key} lacks the field {field}: overwrite=True"):
            read(store)


@pytest.mark.usefixtures("small_chunks")
def test_what_is_not_missing_can_be_read(server: Server) -> None:
    psi = wave(1, 9, 10, 11)
    with put(server, psi, layout="tile") as store:
        ask(server, "DEL", tile_key(server, 4))  # of the first tile of the second half
        np.testing.assert_array_equal(opened(store)[:, :8], psi[:, :8])
        with pytest.raises(DamagedData, match="lacks the field c/0/1/0/0"):
            opened(store)[0, 8, 0, 0]


def test_a_tile_of_the_wrong_length_raises(server: Server) -> None:
    with put(server, wave(1, 9, 10, 11), layout="tile") as store:
        ask(server, "HSET", tile_key(server), "c/0/0/1/0", bytes(8191))
        with pytest.raises(DamagedData, match="holds 8191 bytes instead of 8192 in the field c/0/0/1/0"):
            opened(store)[:]


def test_a_key_of_another_type_is_refused(server: Server) -> None:
    with put(server, wave(1, 4, 4, 4), layout="tile") as store:
        ask(server, "SET", tile_key(server), "of somebody else")
        with pytest.raises(Refused, match=r"reading qwf:psi:.*another type"):
            opened(store)[:]


@readers
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_replaced_generation_is_refused(
    server: Server, layout: str, read: Callable[[ZarrStore], object]
) -> None:
    with put(server, wave(9, 10, 11), layout=layout) as old:
        read(old)
        with put(server, wave(9, 10, 11, seed=1), layout=layout, overwrite=True) as new:
            with pytest.raises(Refused, match="psi was replaced or removed since it was opened"):
                read(old)
            read(new)


def test_a_removed_wavefunction_is_refused(server: Server) -> None:
    async def remove() -> None:
        async with qwf_async.connect(server.url) as store:
            await store.remove("psi")

    with put(server, wave(9, 10, 11), layout="tile") as store:
        array = opened(store)
        anyio.run(remove)
        with pytest.raises(Refused, match="psi was replaced or removed since it was opened"):
            array[:]


def test_plain_code_opens_a_wavefunction_by_name(server: Server) -> None:
    psi = wave(5, 6, 7)
    stored = put(server, psi, layout="tile")
    with open_store("psi", server.url) as store:
        assert store == stored
        np.testing.assert_array_equal(opened(store)[0], psi)
    with pytest.raises(InvalidInput, match="no wavefunction 'other'"):
        open_store("other", server.url)


async def test_zarr_can_be_used_asynchronously(server: Server) -> None:
    psi = wave(2, 20, 9, 8)
    with ZarrStore(await ingested(server, psi, layout="tile")) as store:
        array = await zarr.api.asynchronous.open_array(store=store, path="psi", mode="r")
        np.testing.assert_array_equal(await array.getitem(slice(None)), psi)
        # The same store at the same time from Zarr's own loop.
        np.testing.assert_array_equal(await anyio.to_thread.run_sync(lambda: opened(store)[:]), psi)
        ask(server, "HDEL", tile_key(server), "c/0/0/0/0")
        with pytest.raises(DamagedData):
            await array.getitem(slice(None))


async def test_closing_ends_what_is_being_read(own_server: Server) -> None:
    store = ZarrStore(await ingested(own_server, wave(4, 4, 4), layout="tile"))
    own_server.stop()

    async def read() -> None:
        with pytest.raises(Refused, match="psi was closed while it was read"):
            await store.get("psi/c/0/0/0/0", PROTOTYPE)

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        sync(anyio.lowlevel.checkpoint())  # by then Zarr's loop has begun what it was asked before
        store.close()


def test_after_a_failure_nothing_goes_on_behind_a_closed_store(server: Server) -> None:
    psi = wave(64, 64, 4)
    with put(server, psi, layout="tile", tile=(2, 2, 2), tiles=True) as store:
        ask(server, "HDEL", tile_key(server), "c/0/0/0/0")
        with pytest.raises(DamagedData):
            opened(store)[:]
    ask(server, "CONFIG", "RESETSTAT")
    with pytest.raises(Refused, match="was closed: open it again"):
        sync(store.get("psi/c/0/1/1/1", PROTOTYPE))
    assert reads(server) == {}


async def test_reading_can_be_cancelled(own_server: Server) -> None:
    with ZarrStore(await ingested(own_server, wave(4, 4, 4), layout="tile")) as store:
        own_server.stop()
        with anyio.move_on_after(0.2) as scope:
            await store.get("psi/c/0/0/0/0", PROTOTYPE)
        assert scope.cancelled_caught
        own_server.go_on()
        assert await store.get("psi/c/0/0/0/0", PROTOTYPE) is not None


def test_a_closed_store_has_no_connections_and_opens_them_again(server: Server) -> None:
    psi = wave(9, 10, 11)
    store = put(server, psi, layout="tile")
    for _ in range(2):
        np.testing.assert_array_equal(opened(store)[0], psi)
        store.close()
        end = time.monotonic() + PATIENCE
        with server.plain as client:
            while len(client.client_list()) > 1:  # the server sees a closed connection a moment later
                assert time.monotonic() < end
                time.sleep(0.01)


def test_a_pickle_is_read_in_another_process(server: Server) -> None:
    psi = wave(9, 10, 11)
    with put(server, psi, layout="tile") as store:
        opened(store)[:]
        program = (
            "import pickle, sys, zarr\n"
            "with pickle.load(sys.stdin.buffer) as store:\n"
            "    sys.stdout.buffer.write(zarr.open(store)['psi'][:].tobytes())"
        )
        process = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            input=pickle.dumps(store),
            capture_output=True,
            check=True,
            cwd=Path(qwf_async.__file__).parents[1],
        )
    assert process.stderr == b""
    np.testing.assert_array_equal(np.frombuffer(process.stdout, complex), psi.reshape(-1))


@pytest.mark.parametrize("mode", ["w", "w-", "a", "r+"])
def test_zarr_cannot_write(server: Server, mode: Any) -> None:
    with put(server, wave(4, 4, 4), layout="tile") as store:
        before = server.contents()
        with pytest.raises(ValueError, match="read-only"):
            zarr.open_group(store, mode=mode)
        with pytest.raises(ValueError, match="read-only"):
            opened(store)[:] = 0
        assert server.contents() == before
        with pytest.raises(UsageError, match="read only"):
            ZarrStore(anyio.run(lambda: ingested(server, wave(4), "other")), read_only=False)
