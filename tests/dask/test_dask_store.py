"""Arrays of dask, stored by their tasks: equal, computed once, refused, resumed; and read back."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from threading import Lock
from typing import Any

import anyio
import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

import qwf_async
from qwf_async import sources
from qwf_async.errors import InvalidInput, Refused, UsageError
from tests.conftest import Server
from tests.support.loads import ask, check_alone, check_points, held_until, ingested, published, wave
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("small_chunks")

PSI = wave(3, 12, 10, 8)
CHUNKS = (1, 6, 10, 4)


class Counted:
    """An array whose blocks are counted as they are read. After the first `whole` reads it cannot be read."""

    def __init__(self, psi: NDArray[Any]) -> None:
        self.shape, self.dtype, self.ndim = psi.shape, psi.dtype, psi.ndim
        self.psi, self.reads, self.lock = psi, Counter[str](), Lock()
        self.whole = 10**6

    def __getitem__(self, index: Any) -> NDArray[Any]:
        with self.lock:
            self.reads[str(index)] += 1
            if self.reads.total() > self.whole:
                raise OSError("the disk is gone")
        block: NDArray[Any] = self.psi[index]
        return block

    def as_dask(self) -> Any:
        return da.from_array(self, chunks=CHUNKS, name="counted", asarray=False, fancy=False, meta=PSI[:0])


def verified(server: Server, psi: NDArray[Any], grid: qwf_async.Grid | None = None) -> bool:
    """Whether what is published is ψ."""

    async def job() -> bool:
        async with qwf_async.connect(server.url) as store:
            return not (await qwf_async.verify(store, "psi", sources.array(psi, grid))).differing

    return anyio.run(job)


@pytest.mark.parametrize("layout", ["flat", "tile", "packed"])
def test_array_is_stored_as_by_an_ingest_and_computed_once(each_server: Server, layout: str) -> None:
    counted = Counted(PSI)
    array = counted.as_dask()
    options: dict[str, Any] = {"layout": layout}
    if layout == "packed":
        array = array.rechunk((2, 12, 10, 8))
    if layout == "tile":
        options["tile"] = (3, 5, 4)
    report = qwf_async.dask.store(array * 1, "psi", each_server.url, **options)
    assert report.points == PSI.size
    assert set(counted.reads.values()) == {1}
    assert verified(each_server, PSI)
    if layout == "flat":
        check_points(each_server, PSI)
        check_alone(each_server)


def test_delayed_store_does_nothing_until_it_is_computed_and_may_be_computed_twice(server: Server) -> None:
    counted = Counted(PSI)
    delayed = qwf_async.dask.store(counted.as_dask(), "psi", server.url, compute=False)
    assert published(server) is None
    assert not counted.reads
    first, second = delayed.compute(), delayed.compute()
    assert first.generation == second.generation
    assert (first.already, second.already) == (False, True)
    assert set(counted.reads.values()) <= {1, 2}
    check_points(server, PSI)


def test_coordinates_of_a_data_array_become_the_axes(server: Server) -> None:
    x, t = np.linspace(-2.0, 2.0, 12), np.arange(3) * 0.5
    data = xr.DataArray(
        da.from_array(PSI.transpose(3, 1, 2, 0), chunks=(4, 6, 10, 1)),
        dims=("z", "x", "y", "time"),
        coords={"x": ("x", x, {"units": "angstrom"}), "time": ("time", t, {"units": "fs"})},
    )
    qwf_async.dask.store(data, "psi", server.url)
    check_points(server, PSI)

    async def axes() -> tuple[qwf_async.Axis, ...]:
        async with qwf_async.connect(server.url) as store:
            return (await store.open("psi")).manifest.grid.axes

    stored = anyio.run(axes)
    assert [axis.unit for axis in stored[:2]] == ["hbar/Eh", "bohr"]
    assert stored[1].step == pytest.approx(4 / 11 / 0.529177210544)


@pytest.mark.parametrize("shape", [(40,), (12, 10), (12, 10, 8)])
def test_array_of_fewer_dimensions_is_stored(server: Server, shape: tuple[int, ...]) -> None:
    psi = np.random.default_rng(0).normal(size=shape)
    qwf_async.dask.store(da.from_array(psi, chunks=(shape[0] // 2, *shape[1:])), "psi", server.url)
    check_points(server, psi.astype(complex).reshape(qwf_async.Grid.of(shape).shape))


def test_refusal_says_how_to_rechunk_in_the_dimensions_of_the_array(server: Server) -> None:
    array = da.from_array(np.ones((64, 64, 64)), chunks=(30, 64, 64))
    with pytest.raises(UsageError, match=re.escape("array.rechunk((32, 64, 64)) would do")):
        qwf_async.dask.store(array, "psi", server.url, layout="tile")
    qwf_async.dask.store(array.rechunk((32, 64, 64)), "psi", server.url, layout="tile")
    with pytest.raises(UsageError, match=r"not of whole chunks: array.rechunk\(\(\d+, 64, 64\)\) would do"):
        qwf_async.dask.store(array.rechunk((64, 32, 64)), "psi", server.url, layout="packed", overwrite=True)
    irregular = da.from_array(np.ones(4000), chunks=((1000, 1001, 1999),))
    with pytest.raises(UsageError, match=re.escape("in chunks of 1 points: array.rechunk((1024,)) would do")):
        qwf_async.dask.store(irregular, "psi", server.url, overwrite=True)
    qwf_async.dask.store(irregular.rechunk((1024,)), "psi", server.url, overwrite=True)
    with pytest.raises(InvalidInput, match="no dask array"):
        qwf_async.dask.store(np.ones(5), "psi", server.url)
    with pytest.raises(InvalidInput, match="unknown size"):
        qwf_async.dask.store(array[array > 0], "psi", server.url)


def test_failed_store_is_resumed_without_computing_again_what_is_stored(server: Server) -> None:
    counted = Counted(PSI)
    counted.whole = 5
    with dask.config.set(scheduler="sync"), pytest.raises(OSError, match="the disk is gone"):
        qwf_async.dask.store(counted.as_dask(), "psi", server.url)
    counted.whole = 10**6
    with pytest.raises(Refused, match="there is an unfinished load of psi"):
        qwf_async.dask.store(counted.as_dask(), "psi", server.url)
    counted.reads.clear()
    report = qwf_async.dask.store(counted.as_dask(), "psi", server.url, resume=True)
    assert report.resumed_chunks > 0
    assert 0 < counted.reads.total() < 12
    check_points(server, PSI)
    counted.reads.clear()
    assert qwf_async.dask.store(counted.as_dask(), "psi", server.url, resume=True).already
    assert not counted.reads


def test_not_finite_values_are_refused_and_the_load_can_be_discarded(server: Server) -> None:
    psi = PSI.copy()
    psi[1, 7, 3, 2] = np.nan
    array = da.from_array(psi, chunks=CHUNKS)
    with pytest.raises(InvalidInput, match=r"t = 1, x = 7, y = 3, z = 2.*can be resumed with resume=True"):
        qwf_async.dask.store(array, "psi", server.url)
    qwf_async.dask.store(array, "psi", server.url, allow_nonfinite=True, discard=True)
    check_points(server, psi)


def test_load_is_kept_while_blocks_are_computed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWF_OWNERSHIP_TTL", "1")

    def slow(block: Any) -> Any:
        """Returns once the lease was renewed, of which nothing has been written."""
        first = held_until(server)
        wait_until(lambda: held_until(server) > first)
        return block

    array = da.from_array(PSI, chunks=PSI.shape).map_blocks(slow, dtype=complex, meta=PSI[:0])
    qwf_async.dask.store(array, "psi", server.url)
    check_points(server, PSI)


def test_array_is_read_in_the_chunks_of_the_store(server: Server) -> None:
    anyio.run(ingested, server, sources.array(PSI))
    array = qwf_async.dask.from_store("psi", server.url)
    assert array.chunksize == (3, 1, 10, 8) or array.npartitions > 1
    np.testing.assert_array_equal(array.compute(), PSI)
    np.testing.assert_array_equal(array[1, 3:7, ::2].compute(), PSI[1, 3:7, ::2])
    anyio.run(lambda: ingested(server, sources.array(PSI * 2), overwrite=True))
    with pytest.raises(Refused, match="replaced or removed"):
        array.compute()


def test_graphs_hold_no_password(own_server: Server) -> None:
    ask(own_server, "CONFIG", "SET", "requirepass", "secret7")
    url = f"{own_server.url}?password=secret7"
    delayed = qwf_async.dask.store(da.from_array(PSI, chunks=CHUNKS), "psi", url, compute=False)
    assert b"secret7" not in pickle.dumps(dict(delayed.dask))
    delayed.compute()
    array = qwf_async.dask.from_store("psi", url)
    assert b"secret7" not in pickle.dumps(array)
    np.testing.assert_array_equal(array.compute(), PSI)


def test_store_copies_itself_by_dask(server: Server) -> None:
    anyio.run(ingested, server, sources.array(PSI))
    qwf_async.dask.store(qwf_async.dask.from_store("psi", server.url) * 2, "twice", server.url)
    check_points(server, PSI * 2, "twice")
