"""Every source that is no file keeps the promise of `Source`; the formats of files do in `test_format_contract`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dask.array
import h5py
import netCDF4
import numpy as np
import pytest
import qiskit.quantum_info
import qutip
import xarray
import zarr
from numpy.typing import NDArray

import qwf_async
from qwf_async import Store, sources
from qwf_async.lattice.grid import Grid
from qwf_async.source import Source
from tests.conftest import Server
from tests.source.contract import CanFail, Difference, Make, SourceContract, sample
from tests.support.loads import plain_fields

Array = NDArray[Any]


@pytest.fixture(scope="module", autouse=True)
def _zarr_runs() -> None:
    """Its thread, which stays until the process ends, is begun before anything is counted."""
    zarr.array(np.zeros(1))


ANALYTIC: dict[str, tuple[Callable[..., Source], dict[str, Any], dict[str, Any]]] = {
    "box": (sources.box, {"n": 1}, {"n": 2}),
    "coherent": (sources.coherent, {"alpha": 1.0}, {"alpha": 1.5}),
    "gaussian": (sources.gaussian, {"k": 1.0}, {"k": 1.5}),
    "harmonic": (sources.harmonic, {"n": {0: 1, 1: 1j}}, {"n": {0: 1, 1: 1}}),
    "hydrogen": (sources.hydrogen, {"n": 2, "l": 1}, {"n": 2, "l": 1, "m": 1}),
    "plane": (sources.plane, {"k": 1}, {"k": 0}),
}
"""How a state is made, with parameters, and with others."""


class TestAnalytic(SourceContract):
    parallel = True

    @pytest.fixture(params=ANALYTIC)
    def make(self, request: pytest.FixtureRequest) -> Make:
        state, parameters, others = ANALYTIC[request.param]

        def make(difference: Difference) -> Source:
            _, grid = sample(difference)
            return state(**(others if difference == "values" else parameters), grid=grid)

        return make


class TestArray(SourceContract):
    parallel = True

    @pytest.fixture(
        params=[np.ascontiguousarray, np.asfortranarray, np.complex64, np.real, lambda psi: psi[::-1], ">c16"]
    )
    def make(self, request: pytest.FixtureRequest) -> Make:
        def make(difference: Difference) -> Source:
            psi, grid = sample(difference)
            values = psi.astype(request.param) if isinstance(request.param, str) else request.param(psi)
            return sources.array(values, grid)

        return make


class TestMaskedArray(SourceContract):
    parallel = True

    @pytest.fixture
    def make(self) -> Make:
        def make(difference: Difference) -> Source:
            psi, grid = sample(difference)
            return sources.array(np.ma.masked_where(psi.real > 1, psi), grid)

        return make


def lent(library: str, psi: Array, path: Path, keep: ExitStack) -> Any:
    """ψ in an array of a library, in blocks where it has them; its file is open until `keep` ends."""
    if library == "dask":
        return dask.array.from_array(psi, chunks=(1, 2, 2, 3))
    if library == "zarr":
        return zarr.create_array({}, data=psi, chunks=(1, 2, 2, 3))
    if library == "xarray":
        return xarray.DataArray(psi, dims=("t", "x", "y", "z"))
    if library == "h5py":
        file = keep.enter_context(h5py.File(path, "w"))
        return file.create_dataset("psi", data=psi, chunks=(1, 2, 2, 3))
    file = keep.enter_context(netCDF4.Dataset(path, "w"))
    for name, size in zip("txyz", psi.shape, strict=True):
        file.createDimension(name, size)
    variable = file.createVariable("psi", "f8", tuple("txyz"))
    variable[...] = psi.real
    return variable


class TestLazyArray(SourceContract):
    @pytest.fixture
    def keep(self) -> Iterator[ExitStack]:
        with ExitStack() as stack:
            yield stack

    @pytest.fixture(params=["dask", "zarr", "xarray", "h5py", "netCDF4"])
    def make(self, request: pytest.FixtureRequest, tmp_path: Path, keep: ExitStack) -> Make:
        def make(difference: Difference) -> Source:
            psi, grid = sample(difference)
            count = len(list(tmp_path.iterdir()))
            return sources.array(lent(request.param, psi, tmp_path / f"{count}", keep), grid)

        return make


class TestFunction(CanFail):
    @pytest.fixture
    def make(self) -> Make:
        def make(difference: Difference) -> Source:
            _, grid = sample(difference)
            height = 2.0 if difference == "values" else 1.0

            def psi(t: Array, x: Array, y: Array, z: Array) -> Array:
                if difference == "unreadable":
                    raise ZeroDivisionError("one over\nnothing")
                return np.asarray(height * np.exp(1j * (x - t) - z**2))

            return sources.function(psi, grid=grid)

        return make


class TestFunctionForSeveralThreads(SourceContract):
    parallel = True

    @pytest.fixture
    def make(self) -> Make:
        def make(difference: Difference) -> Source:
            _, grid = sample(difference)
            height = 2.0 if difference == "values" else 1.0

            def psi(t: Array, x: Array, y: Array, z: Array) -> Array:
                return np.asarray(height * np.exp(1j * (x - t) - z**2))

            return sources.function(psi, grid=grid, parallel=True)

        return make


class TestEvolve(CanFail):
    @pytest.fixture(params=["barrier:height=2,width=1", "free", "of a user"])
    def make(self, request: pytest.FixtureRequest) -> Make:
        def make(difference: Difference) -> Source:
            _, grid = sample(difference)

            def potential(x: Array, y: Array, z: Array, t: float) -> Array:
                if difference == "unreadable" and t > 0:
                    raise ZeroDivisionError("one over\nnothing")
                return np.asarray(x * np.sin(t))

            mine = request.param == "of a user" or difference == "unreadable"
            initial = sources.gaussian(k=2.0 if difference == "values" else 1.0, grid=grid)
            absorb = 0.0 if request.param == "free" else 0.25
            return sources.evolve(
                initial, potential if mine else request.param, absorb=absorb, steps=4 * mine
            )

        return make


class TestEigen(CanFail):
    @pytest.fixture(params=["of a user", "with g"])
    def make(self, request: pytest.FixtureRequest) -> Make:
        def make(difference: Difference) -> Source:
            _, grid = sample(difference, (1, 4, 5, 6) if request.param == "with g" else (3, 4, 5, 6))

            def potential(x: Array, y: Array, z: Array) -> Array:
                if difference == "unreadable":
                    raise ZeroDivisionError("one over\nnothing")
                return np.asarray(x * (2.0 if difference == "values" else 1.0) + y * z)

            n, g = grid.shape[0], 1.0 if request.param == "with g" else 0.0
            if difference == "unreadable" or request.param == "of a user":
                return sources.eigen(grid, potential, n=n, g=g)
            return sources.eigen(grid, f"harmonic:omega={2 if difference == 'values' else 1}", n=n, g=g)

        return make


class TestRegister(SourceContract):
    parallel = True

    @pytest.fixture(params=["qiskit", "qutip"])
    def make(self, request: pytest.FixtureRequest) -> Make:
        def make(difference: Difference) -> Source:
            psi, grid = sample(difference, (1, 4, 5, 6))
            amplitudes = psi.reshape(-1) / np.linalg.norm(psi)
            if request.param == "qiskit":
                state = qiskit.quantum_info.Statevector(amplitudes, dims=grid.shape[:0:-1])
                return sources.statevector(state, grid)
            return sources.qobj(
                qutip.Qobj(amplitudes.reshape(-1, 1), dims=[list(psi.shape[1:]), [1] * 3]), grid
            )

        return make


class TestOldHash(CanFail):
    @pytest.fixture(params=["asyncio", "asyncio+uvloop"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> Any:
        return "asyncio", {"use_uvloop": request.param == "asyncio+uvloop"}

    @pytest.fixture
    async def store(self, own_server: Server) -> AsyncIterator[Store]:
        async with qwf_async.connect(own_server.url) as store:
            yield store

    @pytest.fixture
    def make(self, own_server: Server, store: Store) -> Make:
        async def make(difference: Difference) -> Source:
            psi, grid = sample(difference)
            fields = dict(plain_fields(psi, "text10"))
            if difference == "unreadable":
                fields[b"x1_y1_z1_t1"] = b"no number"
            key = f"wave of {difference}" if difference == "unreadable" else "wave"
            with own_server.plain as client:
                client.delete(key)
                client.hset(key, mapping=fields)
            extents = tuple(
                n * (axis.step or 0.0) for n, axis in zip(grid.shape[1:], grid.axes[1:], strict=True)
            )
            return await qwf_async.open_old_hash(store, key, box=extents, dt=grid.axes[0].step)

        return make


def test_the_sample_has_no_symmetry() -> None:
    psi, grid = sample()
    assert isinstance(grid, Grid)
    assert len(np.unique(psi)) == psi.size
