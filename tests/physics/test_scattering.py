"""What is where, and what passes a plane: regions, fluxes and momenta, against integrals that are known."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qwf_async import observables
from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Axis, Grid
from qwf_async.lattice.plan import BoxPlan
from qwf_async.observables.flux import at_plane, flux_of, plane_weights
from qwf_async.source import Source, coherent, evolve, gaussian, plane, read_potential

INFINITE = math.inf


def psi_of(source: Source) -> NDArray[np.complex128]:
    return np.asarray(source.read(source.grid.whole))


def test_the_momentum_of_a_packet_is_a_gaussian_about_k() -> None:
    grid = Grid.of((64, 48, 40), box=(30.0, 24.0, 20.0))
    psi = psi_of(gaussian(k=(1, -2, 0.5), sigma=(1, 0.8, 1.2), x0=(3, 0, -1), grid=grid))
    density = observables.momentum_density(psi, grid)
    k = [observables.momentum_axis(grid, axis) for axis in (1, 2, 3)]
    lines = [
        math.sqrt(2 * s * s / math.pi) * np.exp(-2 * s * s * (line - mean) ** 2)  # |ψ̃|² has σ_p = 1/2σ
        for line, mean, s in zip(k, (1, -2, 0.5), (1, 0.8, 1.2), strict=True)
    ]
    wanted = lines[0][:, None, None] * lines[1][:, None] * lines[2]
    np.testing.assert_allclose(density[0], wanted, atol=1e-7)
    for axis, line in enumerate(lines, start=1):
        assert observables.momentum_density(psi, grid, [axis])[0] == pytest.approx(line, abs=1e-7)
    np.testing.assert_allclose(observables.momentum_density(7 * psi, grid), density, rtol=1e-9, atol=1e-20)
    assert np.isnan(observables.momentum_density(0 * psi, grid)).all()


shapes = st.tuples(st.integers(1, 2), st.integers(2, 6), st.integers(1, 4), st.integers(1, 4))


@settings(max_examples=20, deadline=None)
@given(shapes, st.integers(0, 2**32))
def test_momentum_densities_integrate_to_one_and_have_the_mean_momentum(
    shape: tuple[int, int, int, int], seed: int
) -> None:
    chance = np.random.default_rng(seed)
    axes = [Axis(step=step) for step in chance.uniform(0.1, 2, 4)]
    grid = Grid(shape=shape, axes=(axes[0], axes[1], axes[2], axes[3]))
    psi = chance.normal(size=shape) + 1j * chance.normal(size=shape)
    density = observables.momentum_density(psi, grid)
    k = [observables.momentum_axis(grid, axis) for axis in (1, 2, 3)]
    steps = [
        2 * math.pi / (n * (axis.step or 1)) if n > 1 else 1.0 for n, axis in zip(shape, axes, strict=True)
    ]
    cell = math.prod(steps[1:])
    assert density.sum(axis=(1, 2, 3)) * cell == pytest.approx(1)
    for axis in range(1, grid.dimensions + 1):
        others = tuple(number for number in (1, 2, 3) if number != axis)
        line = observables.momentum_density(psi, grid, [axis])
        share = density.sum(axis=others) / density.sum(axis=(1, 2, 3))[:, None]
        assert line * steps[axis] == pytest.approx(share)
        pair = [number for number in (1, 2, 3) if number != axis]
        plane = observables.momentum_density(psi, grid, pair)
        np.testing.assert_allclose(plane, density.sum(axis=axis) * steps[axis])
        second = (share * k[axis - 1] ** 2).sum(axis=1)
        assert second == pytest.approx(observables.momenta(psi, grid).square[:, axis - 1])


@pytest.mark.parametrize("points", [47, 48])
def test_the_flux_is_the_integral_of_the_current_and_between_the_points_as_exact(points: int) -> None:
    grid = replace(Grid.of((points, 30), box=(24.0, 18.0)), mass=0.5)
    psi = psi_of(coherent(alpha=(1 + 0.7j, -0.5j), omega=(1, 1.2), grid=grid))
    j = observables.current(psi, grid)[0, 0, :, :, 0]
    step = 18 / 30
    x = grid.coordinates(1, 0, points)
    for index in (0, 9, points - 1):
        found = observables.flux(psi, grid, 1, x[index])
        assert found == pytest.approx([j[index].sum() * step], abs=1e-12)
    fine = replace(Grid.of((8 * points, 30), box=(24.0, 18.0)), mass=0.5)
    many = psi_of(coherent(alpha=(1 + 0.7j, -0.5j), omega=(1, 1.2), grid=fine))
    between = fine.coordinates(1, 0, 8 * points)[8 * 27 + 3]
    wanted = observables.flux(many, fine, 1, between)
    assert abs(wanted[0]) > 0.1
    assert observables.flux(psi, grid, 1, between) == pytest.approx(wanted, abs=1e-6)
    whole = observables.flux(psi, grid, 2, 0.3)
    weights = plane_weights(grid, 2, 0.3)
    plan = BoxPlan.cut(grid.shape, points=7)
    sums = np.zeros((2, 1, points, 1), np.complex128)
    for chunk in plan:
        rows = chunk.box.slices[1]
        sums[:, :, rows] += at_plane(psi[chunk.box.slices], grid, 2, weights, chunk.box)
    assert flux_of(sums, grid, 2) == pytest.approx(whole, abs=1e-12)


def test_a_plane_wave_flows_as_fast_as_its_momentum_over_its_mass() -> None:
    grid = replace(Grid.of((16, 8, 6), box=(10.0, 5.0, 4.0)), mass=2.0)
    psi = psi_of(plane(k=(2, -1, 0), grid=grid))
    for axis, periods, extent in ((1, 2, 10), (2, -1, 5), (3, 0, 4)):
        momentum = 2 * math.pi * periods / extent
        assert observables.flux(psi, grid, axis, 0.77) == pytest.approx([momentum / 2 / extent], abs=1e-12)


def test_what_leaves_a_region_went_through_its_faces() -> None:
    dt = 1e-3
    grid = Grid.of((128, 96), box=(24.0, 20.0), frames=3, dt=dt)
    psi = psi_of(gaussian(k=(2, 1), sigma=(1, 1.2), x0=(-1, 0), grid=grid))
    region = {1: (-0.09375 + 0.1875, INFINITE)}  # between two points, where cells end
    inside = observables.probability_in(psi, grid, region)
    gained = (inside[2] - inside[0]) / (2 * dt)
    assert gained > 0.3
    # What goes round the edge of the period is nothing here. Cells are right up to the square of their step.
    assert gained == pytest.approx(observables.flux(psi[1:2], grid, 1, region[1][0])[0], abs=4e-3)


def test_regions_of_a_uniform_wave_have_their_share_of_the_volume_and_all_together_the_norm() -> None:
    grid = Grid.of((10, 8, 4), box=(10.0, 4.0, 2.0))
    psi = psi_of(plane(k=(1, 0, 0), grid=grid))  # points from -5 in steps of 1: their cells begin at -5.5
    share = observables.probability_in
    assert share(psi, grid, {1: (-1.2, 0.9)}) == pytest.approx([0.21])
    assert share(psi, grid, {1: (-1.2, 0.9), 2: (0, 0.4), 3: (-0.5, 0.5)}) == pytest.approx([0.0105])
    assert share(psi, grid, {}) == pytest.approx([1])
    cuts = (-INFINITE, -3.3, 0.123, 2.0, INFINITE)
    parts = [share(psi, grid, {1: pair, 3: (-0.1, INFINITE)}) for pair in pairwise(cuts)]
    assert sum(parts) == pytest.approx(share(psi, grid, {3: (-0.1, INFINITE)}))
    boxes = [chunk.box for chunk in BoxPlan.cut(grid.shape, points=9)]
    region = {1: (-1.2, 0.9), 2: (0, 0.4)}
    added = sum(observables.probability_in(psi[box.slices], grid, region, box) for box in boxes)
    assert added == pytest.approx([0.021])


def test_planes_and_regions_that_cannot_be_are_refused() -> None:
    grid = Grid.of((8, 6), box=(4.0, 3.0))
    psi = psi_of(plane(k=(1, 0), grid=grid))
    with pytest.raises(InvalidInput, match=r"x = 2.5 bohr is outside the grid, which reaches from -2 to 2"):
        observables.flux(psi, grid, 1, 2.5)
    with pytest.raises(InvalidInput, match=r"axes=\[2, 1\] must be ascending"):
        observables.momentum_density(psi, grid, [2, 1])
    with pytest.raises(InvalidInput, match="no plane across z"):
        observables.flux(psi, grid, 3, 0.0)
    with pytest.raises(InvalidInput, match="no axis z to bound"):
        observables.probability_in(psi, grid, {3: (0.0, 1.0)})
    with pytest.raises(InvalidInput, match="the region is empty"):
        observables.probability_in(psi, grid, {1: (1.0, 1.0)})


def through_barrier(k: NDArray[np.float64], height: float, width: float) -> NDArray[np.float64]:
    """T(k) of a rectangular barrier, ħ = m = 1. Source: Griffiths, section 2.6, problem 2.33."""
    inside = np.sqrt(2 * height - k**2 + 1e-9j)
    sine = np.sinh(inside * width) / inside  # |V|² sinh²(κw)/(4E(V − E)) = V²·sine²/2E
    share: NDArray[np.float64] = (1 / (1 + height**2 * sine**2 / k**2)).real
    return share


def test_what_passes_a_barrier_is_the_textbook_value_averaged_over_the_packet() -> None:
    height, width, k = 2.0, 1.0, 2.0
    sigma = 3.0
    grid = Grid.of((1536,), box=(120.0,), frames=2, dt=42 / k)
    source = evolve(
        gaussian(k=k, sigma=sigma, x0=-21, grid=grid),
        read_potential(f"barrier:height={height},width={width}"),
    )
    psi = psi_of(source)
    source.close()
    momenta = np.linspace(max(1e-3, k - 1.3), k + 1.3, 4001)
    weights = np.exp(-2 * sigma**2 * (momenta - k) ** 2)
    wanted = (weights * through_barrier(momenta, height, width)).sum() / weights.sum()
    passed = observables.probability_in(psi, grid, {1: (0.0, INFINITE)})
    back = observables.probability_in(psi, grid, {1: (-INFINITE, 0.0)})
    assert passed[0] < 1e-9
    assert passed[1] == pytest.approx(wanted, rel=2e-3)
    assert passed + back == pytest.approx(observables.norm(psi, grid))
