"""Units of axes: files, grids, observables, evolution and export convert by one table."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray

import qwf_async
from qwf_async import observables, sources
from qwf_async.errors import InvalidInput
from qwf_async.exporting.export_file import export
from qwf_async.lattice.grid import Axis, Grid
from qwf_async.lattice.units import ANGSTROM, TIME_SECONDS, in_atomic_units
from qwf_async.store.observing import observe
from tests.conftest import Server

SIGMA = 2.0
STATE = sources.gaussian(sigma=SIGMA, k=0.5, grid=Grid.of((24, 24, 24), box=(24.0, 24.0, 24.0)))
FS = 1e-15 / TIME_SECONDS
PSI = np.asarray(STATE.read(STATE.grid.whole))


def in_angstrom(grid: Grid) -> Grid:
    """The same points, with axes in ångström."""
    laid = (
        Axis(origin=axis.origin / ANGSTROM, step=axis.step and axis.step / ANGSTROM, unit="Å")
        for axis in grid.axes[1:]
    )
    x, y, z = laid
    return replace(grid, axes=(grid.axes[0], x, y, z))


@pytest.mark.parametrize(
    "name",
    ["Å", "\u212b", "A\u030a", "A", "AA", "Ang", "angstrom", "ANGSTROM", "Angstroms", "ångström", "Ångstrom "],
)  # fmt: skip
def test_angstrom_is_known_in_every_spelling(name: str) -> None:
    assert in_atomic_units(name, time=False, what="x") == (ANGSTROM, "bohr")
    assert pytest.approx(1 / 0.529177210544, rel=1e-14) == ANGSTROM


@pytest.mark.parametrize(
    ("name", "metres"),
    [("nm", 1e-9), ("pm", 1e-12), ("m", 1.0), ("µm", 1e-6), ("um", 1e-6), ("mm", 1e-3), ("Bohr", 5.29177210544e-11)],
)  # fmt: skip
def test_lengths_are_those_of_codata(name: str, metres: float) -> None:
    factor, unit = in_atomic_units(name, time=False, what="x")
    assert factor == pytest.approx(metres / 5.29177210544e-11, rel=1e-14)
    assert unit == "bohr"


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("fs", 1e-15), ("as", 1e-18), ("ps", 1e-12), ("ms", 1e-3), ("s", 1.0), ("days", 86400.0),
     ("seconds since 2020-01-01 00:00:00", 1.0), ("ħ/Eh", 2.4188843265864e-17), ("\u210f/Eh", 2.4188843265864e-17)],
)  # fmt: skip
def test_times_are_those_of_codata_and_of_cf(name: str, seconds: float) -> None:
    factor, unit = in_atomic_units(name, time=True, what="t")
    assert factor == pytest.approx(seconds / 2.4188843265864e-17, rel=1e-14)
    assert unit == "hbar/Eh"


@pytest.mark.parametrize("name", [None, "", " ", "1", "none", "dimensionless"])
@pytest.mark.parametrize("time", [False, True])
def test_no_unit_is_no_unit(name: str | None, *, time: bool) -> None:
    assert in_atomic_units(name, time=time, what="x") == (1.0, None)


@pytest.mark.parametrize(
    ("name", "time", "option"),
    [("fs", False, "box"), ("cubit", False, "box"), ("a", False, "box"), ("Mm", False, "box"),
     ("bohr", True, "dt"), ("months since 2020-01-01", True, "dt"), ("Ms", True, "dt")],
)  # fmt: skip
def test_other_names_are_refused(name: str, time: bool, option: str) -> None:  # a parameter
    with pytest.raises(InvalidInput, match=f"the axis is in {name!r}, .* by {option}"):
        in_atomic_units(name, time=time, what="the axis")


def test_dv_is_that_of_the_observables_in_any_unit() -> None:
    grid = STATE.grid
    mixed = replace(grid, axes=(grid.axes[0], in_angstrom(grid).axes[1], *grid.axes[2:]))
    for one in (in_angstrom(grid), mixed):
        psi = np.asarray(STATE.read(grid.whole))
        assert one.cell_volume == pytest.approx(grid.cell_volume, rel=1e-13)
        assert observables.norm(psi, one)[0] == pytest.approx(1, abs=1e-6)
        assert np.sqrt(observables.position_variance(psi, one)[0]) == pytest.approx([SIGMA] * 3, rel=1e-4)


@pytest.mark.anyio
async def test_the_stored_norm_is_the_observed_one(server: Server) -> None:
    values = np.ones((8, 8, 8), complex)
    grid = in_angstrom(Grid.of((8, 8, 8), box=(8.0 * ANGSTROM,) * 3))
    async with qwf_async.connect(server.url) as store:
        report = await qwf_async.ingest(sources.array(values, grid), store, "psi")
        assert report.norm == pytest.approx(512 * ANGSTROM**3)
        (row,) = [row async for row in observe(store, "psi")]
        assert row.norm == pytest.approx(report.norm, rel=1e-13)


@pytest.mark.anyio
async def test_times_are_observed_in_atomic_units(server: Server) -> None:
    grid = replace(STATE.grid, shape=(2, 24, 24, 24))
    grid = replace(grid, axes=(Axis(origin=1, step=0.5, unit="fs"), *grid.axes[1:]))
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(np.ones(grid.shape, complex), grid), store, "psi")
        rows = [row.time async for row in observe(store, "psi", sums_only=True)]
    assert rows == pytest.approx([FS, 1.5 * FS])


@pytest.mark.anyio
async def test_a_unit_that_is_not_known_is_refused_before_anything_is_stored(server: Server) -> None:
    values = np.ones((2, 4), complex).reshape(2, 4, 1, 1)
    async with qwf_async.connect(server.url) as store:
        for axes, message in (
            ((Axis(), Axis(step=1, unit="cubit"), Axis(), Axis()), "axis x is in 'cubit'"),
            ((Axis(step=1, unit="moons"), Axis(step=1), Axis(), Axis()), "axis t is in 'moons'"),
        ):
            with pytest.raises(InvalidInput, match=message):
                await qwf_async.ingest(
                    sources.array(values, Grid(shape=(2, 4, 1, 1), axes=axes)), store, "psi"
                )
        assert await store.entries() == []


@pytest.mark.parametrize(
    "make",
    [
        lambda grid: sources.gaussian(sigma=SIGMA, k=0.5, grid=grid),
        lambda grid: sources.function(
            lambda t, x, y, z: np.exp(-(x * x + y * y + z * z) / 4 / SIGMA**2), grid=grid
        ),
        lambda grid: sources.evolve(STATE if grid is STATE.grid else sources.array(PSI, grid), "free"),
    ],
    ids=["state", "function", "evolution"],
)
def test_sources_by_formula_convert_their_grid(make: Callable[[Grid], sources.Source]) -> None:
    known, other = make(STATE.grid), make(in_angstrom(STATE.grid))
    assert [axis.unit for axis in other.grid.axes[1:]] == ["bohr"] * 3
    assert other.grid.cell_volume == pytest.approx(known.grid.cell_volume)
    box = known.grid.whole
    assert np.asarray(other.read(box)) == pytest.approx(np.asarray(known.read(box)), abs=1e-12)


def test_an_evolution_converts_the_times_of_its_beginning() -> None:
    grid = replace(STATE.grid, axes=(Axis(step=0.01, unit="fs"), *STATE.grid.axes[1:]))
    film = sources.evolve(sources.array(PSI, grid), frames=3)
    assert film.grid.axes[0] == Axis(step=0.01 * FS, unit="hbar/Eh")


@pytest.mark.anyio
async def test_a_cube_file_is_written_in_bohr(server: Server, tmp_path: Path) -> None:
    grid = in_angstrom(STATE.grid)
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI, grid), store, "psi")
        await export(await store.open("psi"), f"{tmp_path}/re.cube,{tmp_path}/im.cube")
    with closing(sources.cube(tmp_path / "re.cube")) as source:
        axis = source.grid.axes[1]
    assert axis.unit == "bohr"
    assert [axis.origin, axis.step] == pytest.approx([-12, 1])


@pytest.mark.parametrize(
    ("attribute", "step"),
    [("Å", ANGSTROM), (b"angstrom", ANGSTROM), (np.array(["nm"], object), 10 * ANGSTROM), (np.bytes_("bohr\0"), 1.0),
     ("Å".encode("latin-1"), ANGSTROM), (np.array([b"A"]), ANGSTROM), ("", 1.0), ("1", 1.0), (1, 1.0),
     (np.array([], "S1"), 1.0), (h5py.Empty("S1"), 1.0)],
)  # fmt: skip
def test_files_state_units_as_text_bytes_and_arrays_of_one(
    tmp_path: Path, attribute: Any, step: float
) -> None:
    with h5py.File(tmp_path / "psi.h5", "w") as file:
        file["psi"] = np.ones(4, complex)
        file["x"] = np.arange(4.0)
        file["x"].attrs["units"] = attribute
        file["x"].make_scale("x")
        file["psi"].dims[0].attach_scale(file["x"])
    with closing(sources.hdf5(tmp_path / "psi.h5")) as source:
        axis = source.grid.axes[1]
    assert [axis.origin, axis.step] == pytest.approx([0, step])
    data = xarray.DataArray(
        np.ones(4, complex), dims="x", coords={"x": ("x", np.arange(4.0), {"units": attribute})}
    )
    assert sources.array(data).grid.axes[1] == axis
