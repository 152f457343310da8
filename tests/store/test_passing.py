"""What passes a plane, momenta and energies of what is stored: as of the array, and by chunks."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import qwf_async
from qwf_async import observables, sources
from qwf_async.errors import InvalidInput, QwfError, UsageError
from qwf_async.lattice.grid import Grid
from qwf_async.observables.flux import at_plane
from qwf_async.source import read_potential
from qwf_async.store.observing import observe
from tests.conftest import Server

pytestmark = pytest.mark.anyio

GRID = replace(Grid.of((26, 12, 10), box=(20.0, 12.0, 11.0), frames=3, dt=0.4), mass=1.5)
STATE = sources.coherent(
    alpha=(1, 0.5j, 0), grid=Grid.of((24, 20, 18), box=(14.0, 13.0, 12.0), frames=9, dt=0.5)
)
FACTORS = np.array([1, 0.9, 0.8])[:, None, None, None]  # as if edges had absorbed
PSI: NDArray[np.complex128] = (
    sources.gaussian(
        k=(1, 0.5, 0), grid=Grid.of((26, 12, 10), box=(20.0, 12.0, 11.0), frames=3, dt=0.4)
    ).read(GRID.whole)
    * FACTORS
)


async def passings(store: qwf_async.Store, name: str, **options: Any) -> list[qwf_async.Passing]:
    return [one async for one in qwf_async.passing(store, name, **options)]


@pytest.mark.parametrize("layout", ["flat", "tile"])
@pytest.mark.parametrize(("axis", "at"), [("x", 0.3), ("z", -0.4)])
@pytest.mark.usefixtures("small_chunks")
async def test_what_passes_a_plane_is_as_of_the_array_and_is_read_by_chunks(
    server: Server, layout: str, axis: str, at: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def seen(psi: NDArray[Any], *rest: Any) -> Any:
        sizes.append(psi.size)
        return at_plane(psi, *rest)

    monkeypatch.setattr("qwf_async.store.passing.at_plane", seen)
    region = {"x": (0.1, 5.0), "y": (-math.inf, 1.0)}
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI, GRID), store, "psi", layout=layout)
        rows = await passings(store, "psi", at={axis: at}, region=region, flux=True)
        (last,) = await passings(store, "psi", at={axis: at}, frames=[2])
    number = "txyz".index(axis)
    norm = observables.norm(PSI, GRID)
    right = observables.probability_in(PSI, GRID, {number: (at, math.inf)})
    within = observables.probability_in(PSI, GRID, {1: (0.1, 5), 2: (-math.inf, 1)})
    flux = observables.flux(PSI, GRID, number, at)
    for t, one in enumerate(rows):
        assert one.frame == t
        found = (one.time, one.norm, one.right, one.within, one.flux)
        assert found == pytest.approx((0.4 * t, norm[t], right[t], within[t], flux[t]), rel=1e-12, abs=1e-15)
        assert (one.left or 0) + (one.right or 0) == pytest.approx(one.norm)
        assert one.absorbed == pytest.approx(1 - norm[t] / norm[0], abs=1e-12)
    assert last == replace(rows[2], within=None, flux=None)
    assert sum(sizes) == GRID.points
    assert max(sizes) <= 1000 < GRID.frame_points


@pytest.mark.usefixtures("small_chunks")
async def test_momenta_and_energies_are_those_of_the_array(server: Server) -> None:
    both = sources.harmonic({0: 0.6, 2: 0.8}, grid=Grid.of((64,), frames=40, dt=0.4))
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI, GRID), store, "psi")
        density = await qwf_async.momentum_density(store, "psi", 1, axes=[1, 3])
        await qwf_async.ingest(both, store, "both")
        told: list[int] = []
        found = await qwf_async.spectrum(store, "both", done=told.append)
        assert sum(told) == both.grid.points
        await qwf_async.ingest(STATE, store, "state", layout="tile")
        three = await qwf_async.spectrum(store, "state")
        trap = read_potential("harmonic:omega=1")
        (row, *_) = [one async for one in observe(store, "both", potential=trap, g=0.5)]
        (free, *_) = [one async for one in observe(store, "both", g=0.5, frames=[0])]
    np.testing.assert_allclose(density, observables.momentum_density(PSI, GRID, [1, 3])[1], atol=1e-15)
    assert [line.energy for line in found.lines] == pytest.approx([0.5, 2.5], rel=1e-9)
    assert [line.weight for line in found.lines] == pytest.approx([0.36, 0.64], rel=1e-9)
    values = observables.autocorrelation(STATE.read(STATE.grid.whole), STATE.grid)
    np.testing.assert_allclose(three.density, observables.spectrum(values, 0.5).density, atol=1e-10)
    psi = np.asarray(both.read(both.grid.whole))
    square = (np.abs(psi[0]) ** 4).sum() / (np.abs(psi[0]) ** 2).sum()
    assert row.interaction == pytest.approx(0.25 * square)
    assert row.energy == pytest.approx(0.36 * 0.5 + 0.64 * 2.5 + 0.25 * square)
    assert (free.interaction, free.energy) == (row.interaction, None)


async def test_what_makes_no_sense_is_refused(server: Server) -> None:
    cases: list[tuple[dict[str, Any], type[QwfError], str]] = [
        ({"at": {"x": 11.0}}, InvalidInput, "x = 11 bohr is outside the grid"),
        ({"at": {"x": 0.0}, "frames": [3]}, InvalidInput, "frames run from 0 to 2"),
        ({"at": {"x": 0.0, "y": 0.0}}, UsageError, "one plane"),
        ({"at": {"w": 0.0}}, InvalidInput, "'w' is no axis: x, y or z"),
        ({"region": {"t": (0.0, 1.0)}}, InvalidInput, "'t' is no axis: x, y or z"),
        ({"flux": True}, UsageError, "one plane"),
        ({"region": {"x": (2.0, 1.0)}}, InvalidInput, "the region is empty"),
    ]
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI, GRID), store, "psi")
        for options, error, message in cases:
            with pytest.raises(error, match=message):
                await passings(store, "psi", **options)
        with pytest.raises(InvalidInput, match="needs 8 frames or more"):
            await qwf_async.spectrum(store, "psi")
        await qwf_async.ingest(sources.array(PSI), store, "bare")
        with pytest.raises(InvalidInput, match="time step of bare is not known"):
            await qwf_async.spectrum(store, "bare")
