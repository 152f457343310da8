"""Observables against known integrals, against each other, and against plain loops."""

from __future__ import annotations

import cmath
import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qwf_async import observables
from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Axis, Box, Grid
from qwf_async.lattice.plan import BoxPlan
from qwf_async.lattice.units import ANGSTROM
from qwf_async.observables.geometry import in_steps
from qwf_async.observables.momentum import wave_sums
from qwf_async.source import Source, box, coherent, gaussian, harmonic, hydrogen, plane


def psi_of(source: Source) -> NDArray[np.complex128]:
    return np.asarray(source.read(source.grid.whole))


def squares(grid: Grid) -> NDArray[np.float64]:
    """x² + y² + z² at the points of a frame."""
    lines = [grid.coordinates(axis, 0, n) ** 2 for axis, n in enumerate(grid.shape) if axis]
    return lines[0][:, None, None] + lines[1][:, None] + lines[2]


def test_a_gaussian_packet_has_the_least_uncertainty_and_moves() -> None:
    source = gaussian(k=(1, -2, 0), sigma=(1, 0.7, 1.3), x0=(0.5, 1), grid=Grid.of((36, 40, 32)))
    psi, grid = psi_of(source), source.grid
    moments, momenta = observables.moments(psi, grid), observables.momenta(psi, grid)
    assert moments.norm == pytest.approx([1])
    assert moments.mean == pytest.approx(np.array([[0.5, 1, 0]]), abs=1e-6)
    assert np.sqrt(moments.variance) == pytest.approx(np.array([[1, 0.7, 1.3]]), rel=1e-6)
    assert momenta.mean == pytest.approx(np.array([[1, -2, 0]]), abs=1e-6)
    assert np.sqrt(moments.variance * momenta.variance) == pytest.approx(np.full((1, 3), 0.5), rel=1e-6)
    # T = k²/2 + Σ1/8σ²
    wanted = 2.5 + sum(1 / (8 * s * s) for s in (1, 0.7, 1.3))
    assert momenta.kinetic == pytest.approx([wanted], rel=1e-6)


def test_the_mean_position_of_a_packet_follows_its_momentum() -> None:
    source = gaussian(k=3, grid=Grid.of((256,), frames=4, dt=0.5))
    psi = psi_of(source)
    assert observables.position(psi, source.grid)[:, 0] == pytest.approx([0, 1.5, 3, 4.5], abs=1e-6)
    spread = [1 + (t / 2) ** 2 for t in (0, 0.5, 1, 1.5)]
    assert observables.position_variance(psi, source.grid)[:, 0] == pytest.approx(spread, rel=1e-5)
    assert observables.momentum(psi, source.grid)[:, 0] == pytest.approx([3] * 4)


@pytest.mark.parametrize("periods", [(1,), (3, -2), (0, 1, -3)])
def test_a_plane_wave_has_one_momentum_and_a_uniform_current(periods: tuple[int, ...]) -> None:
    source = plane(k=periods, grid=Grid.of((16, 12, 14)[: len(periods)], box=(10.0,) * len(periods)))
    psi, grid = psi_of(source), source.grid
    k = 2 * math.pi * np.array(periods) / 10
    assert observables.momentum(psi, grid)[0] == pytest.approx(k, abs=1e-12)
    assert observables.momentum_variance(psi, grid)[0] == pytest.approx(0, abs=1e-12)
    density = 1 / 10 ** len(periods)
    current = observables.current(psi, grid)
    for component, wanted in zip(current, k * density, strict=True):
        assert component == pytest.approx(np.full(psi.shape, wanted), abs=1e-12)


@pytest.mark.parametrize("n", [(0,), (3,), (1, 2), (0, 1, 2)])
def test_oscillator_states_have_their_energies_half_of_them_kinetic(n: tuple[int, ...]) -> None:
    source = harmonic(n, grid=Grid.of((40, 36, 32)[: len(n)]))
    psi, grid = psi_of(source), source.grid
    wanted = sum(n) + len(n) / 2
    v = squares(grid) / 2
    assert observables.energy(psi, grid, v) == pytest.approx([wanted], rel=1e-6)
    assert observables.kinetic_energy(psi, grid) == pytest.approx([wanted / 2], rel=1e-6)
    assert observables.potential_energy(psi, grid, v) == pytest.approx([wanted / 2], rel=1e-6)


def test_hydrogen_has_its_energy_and_obeys_the_virial_theorem() -> None:
    source = hydrogen(2, 1, 0, grid=Grid.cube(64, box=36))
    psi, grid = psi_of(source), source.grid
    with np.errstate(divide="ignore"):
        v = -1 / np.sqrt(squares(grid))
    v[np.isinf(v)] = 0.0  # ψ is 0 there
    assert observables.energy(psi, grid, v) == pytest.approx([-1 / 8], rel=2e-3)
    assert observables.potential_energy(psi, grid, v) == pytest.approx([-1 / 4], rel=2e-3)


def test_a_particle_in_a_box_has_its_energies() -> None:
    for n, error in ((2, 1e-9), (4, 1e-9), (1, 0.01)):  # odd n: a kink at the walls, see `wave_sums`
        source = box(n, grid=Grid.of((512,)))
        wanted = (math.pi * n / 10) ** 2 / 2
        assert observables.kinetic_energy(psi_of(source), source.grid) == pytest.approx([wanted], rel=error)
        assert observables.position(psi_of(source), source.grid)[0] == pytest.approx([5])


def test_eigenstates_are_orthogonal_and_a_superposition_overlaps_by_its_coefficients() -> None:
    grid = Grid.of((48, 32), box=(14.0, 14.0))
    first, second = harmonic((0, 1), grid=grid), harmonic((1, 0), grid=grid)
    both = psi_of(harmonic({(0, 1): 0.6, (1, 0): 0.8j}, grid=grid))
    a, b = psi_of(first), psi_of(second)
    assert observables.overlap(a, b, grid) == pytest.approx([0], abs=1e-12)
    assert observables.overlap(a, both, grid) == pytest.approx([0.6])
    assert observables.overlap(b, both, grid) == pytest.approx([0.8j])
    assert observables.overlap(both, b, grid) == pytest.approx([-0.8j])
    assert observables.fidelity(3 * b, 0.5 * both, grid) == pytest.approx([0.64])


def test_the_autocorrelation_of_a_coherent_state_is_the_known_one() -> None:
    source = coherent(alpha=1.2, grid=Grid.of((128,), frames=7, dt=0.7))
    times = source.grid.coordinates(0, 0, 7)
    wanted = [cmath.exp(-1.44 + 1.44 * cmath.exp(-1j * t) - 0.5j * t) for t in times]
    assert observables.autocorrelation(psi_of(source), source.grid) == pytest.approx(np.array(wanted))


def test_density_and_current_obey_the_continuity_equation() -> None:
    dt = 1e-3
    source = coherent(alpha=(1 + 0.5j, 0.7j), omega=(1, 1.3), grid=Grid.of((64, 56), frames=3, dt=dt))
    psi, grid = psi_of(source), source.grid
    density = observables.density(psi)
    change = (density[2] - density[0]) / (2 * dt)
    current = observables.current(psi[1:2], grid)[:, 0]
    flow = sum(observables.gradient(current[axis - 1], grid, axis).real for axis in (1, 2))
    assert np.abs(change).max() > 0.01
    assert change == pytest.approx(-np.asarray(flow), abs=2e-6)


def test_marginals_integrate_to_the_norm_and_are_those_of_the_factors() -> None:
    grid = Grid.of((40, 36, 32), box=(14.0, 13.0, 12.0))
    psi = psi_of(harmonic((1, 0, 2), grid=grid))
    for axis, n in ((1, 1), (2, 0), (3, 2)):
        found = observables.marginal(psi, grid, axis)[0]
        size, step = grid.shape[axis], grid.axes[axis].step
        assert step is not None
        line = Grid.of((size,), box=(size * step,))
        assert found.sum() * step == pytest.approx(1)
        assert found == pytest.approx(np.abs(psi_of(harmonic(n, grid=line))[0, :, 0, 0]) ** 2, abs=1e-6)


def test_phase_is_the_angle() -> None:
    psi = np.array([1, 1j, -1, 0, -1j], np.complex64).reshape(1, 5, 1, 1)
    wanted = [0, math.pi / 2, math.pi, 0, -math.pi / 2]
    assert observables.phase(psi).ravel() == pytest.approx(wanted)


shapes = st.tuples(st.integers(1, 2), st.integers(2, 5), st.integers(1, 4), st.integers(1, 4))


@settings(max_examples=30, deadline=None)
@given(shapes, st.integers(0, 2**32), st.sampled_from([np.complex64, np.complex128]))
def test_sums_are_those_of_plain_loops_whole_and_in_chunks(
    shape: tuple[int, int, int, int], seed: int, kind: type[np.complexfloating]
) -> None:
    chance = np.random.default_rng(seed)
    axes = [Axis(origin=chance.normal() * 9, step=chance.uniform(0.1, 2)) for _ in range(4)]
    grid = Grid(shape=shape, axes=(axes[0], axes[1], axes[2], axes[3]))
    psi = (chance.normal(size=shape) + 1j * chance.normal(size=shape)).astype(kind)
    other = (chance.normal(size=shape) + 1j * chance.normal(size=shape)).astype(kind)
    v = chance.normal(size=shape[1:])

    plan = BoxPlan.cut(shape, points=5)
    for t in range(shape[0]):
        weight, first, second = 0.0, [0.0] * 3, [0.0] * 3
        potential, inner = 0.0, 0j
        for point in product(*map(range, shape[1:])):
            value, bra = complex(psi[t][point]), complex(other[t][point])
            weight += abs(value) ** 2
            potential += v[point] * abs(value) ** 2
            inner += bra.conjugate() * value
            for axis in range(3):
                place = axes[axis + 1].origin + point[axis] * (axes[axis + 1].step or 0)
                first[axis] += place * abs(value) ** 2
                second[axis] += place**2 * abs(value) ** 2
        d, cell = grid.dimensions, grid.cell_volume or 0
        mean = [x / weight for x in first[:d]]
        variance = [x / weight - m**2 for x, m in zip(second[:d], mean, strict=True)]
        own = BoxPlan(shape=shape, chunk=plan.chunk)
        chunks = [c.box for c in own if c.box.start[0] <= t < c.box.stop[0]]
        parts = [Box(start=(t, *b.start[1:]), stop=(t + 1, *b.stop[1:])) for b in chunks]
        added = [observables.moments(psi[b.slices], grid, b) for b in parts]
        total = added[0]
        for more in added[1:]:
            total += more
        frame = observables.moments(psi[t : t + 1], grid)
        for found in (frame, total):
            assert found.norm == pytest.approx([weight * cell], rel=1e-5)
            assert found.mean[0] == pytest.approx(mean, rel=1e-5, abs=1e-5)
            assert found.variance[0] == pytest.approx(variance, rel=1e-4, abs=1e-5)
        energies = observables.potential_energy(psi, grid, v)
        assert energies[t] == pytest.approx(potential / weight, rel=1e-5, abs=1e-5)
        assert observables.overlap(other, psi, grid)[t] == pytest.approx(inner * cell, rel=1e-5, abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(shapes, st.integers(0, 2**32))
def test_momenta_are_those_of_a_plain_fourier_sum_and_obey_parseval(
    shape: tuple[int, int, int, int], seed: int
) -> None:
    chance = np.random.default_rng(seed)
    steps = chance.uniform(0.1, 2, 4)
    axes = [Axis(step=step) for step in steps]
    grid = Grid(shape=shape, axes=(axes[0], axes[1], axes[2], axes[3]))
    psi = chance.normal(size=shape) + 1j * chance.normal(size=shape)
    found = observables.momenta(psi, grid)
    for axis in range(1, grid.dimensions + 1):
        n = shape[axis]
        _, density = wave_sums(psi, grid, axis)
        assert density.sum(axis=1) == pytest.approx((np.abs(psi) ** 2).sum(axis=(1, 2, 3)))
        numbers = [j if 2 * j < n else j - n for j in range(n)]
        waves = np.exp(-2j * math.pi * np.outer(numbers, range(n)) / n) / math.sqrt(n)
        k = [2 * math.pi * j / (n * steps[axis]) for j in numbers]
        for t in range(shape[0]):
            lines = np.moveaxis(psi[t], axis - 1, 0).reshape(n, -1)
            power = (np.abs(waves @ lines) ** 2).sum(axis=1)
            odd = [0.0 if 2 * j == -n else q for j, q in zip(numbers, k, strict=True)]
            assert found.mean[t, axis - 1] == pytest.approx((power @ odd) / power.sum(), abs=1e-9)
            square = (power @ np.square(k)) / power.sum()
            assert found.square[t, axis - 1] == pytest.approx(square, abs=1e-9)


def test_unknown_spacings_count_in_steps_and_other_units_are_converted() -> None:
    known = psi_of(gaussian(k=0.4, sigma=2, grid=Grid.of((32,), box=(32.0,))))
    unknown = Grid.of((32,))
    assert in_steps(unknown) == "x"
    assert observables.position(known, unknown)[0] == pytest.approx([16])  # counted from the first point
    assert observables.momentum(known, unknown)[0] == pytest.approx([0.4])

    axis = Axis(origin=-16 / ANGSTROM, step=1 / ANGSTROM, unit="angstrom")
    grid = Grid(shape=(1, 32, 1, 1), axes=(Axis(), axis, Axis(), Axis()))
    assert observables.norm(known, grid) == pytest.approx([1])
    assert np.sqrt(observables.position_variance(known, grid)[0]) == pytest.approx([2], rel=1e-6)
    strange = Grid(shape=(1, 32, 1, 1), axes=(Axis(), Axis(step=1, unit="cubit"), Axis(), Axis()))
    with pytest.raises(InvalidInput, match="cubit"):
        observables.norm(known, strange)


def test_shapes_that_do_not_go_together_are_refused() -> None:
    grid = Grid.of((4, 3), box=(1.0, 1.0), frames=2)
    psi = np.ones(grid.shape, np.complex128)
    with pytest.raises(InvalidInput, match=r"psi\[t:t\+1\]"):
        observables.norm(psi[0], grid)
    with pytest.raises(InvalidInput, match="not one that fits"):
        observables.potential_energy(psi, grid, np.ones((3, 4)))
    with pytest.raises(InvalidInput, match="cannot be paired"):
        observables.overlap(np.ones((3, 4, 3, 1), complex), psi, grid)


def test_where_psi_is_zero_means_are_not_numbers_and_nothing_is_raised() -> None:
    grid = Grid.of((4,), box=(1.0,))
    psi = np.zeros(grid.shape, np.complex128)
    assert observables.norm(psi, grid) == [0]
    assert np.isnan(observables.position(psi, grid)).all()
    assert np.isnan(observables.energy(psi, grid, 0.0)).all()
    assert np.isnan(observables.fidelity(psi, psi, grid)).all()


@pytest.mark.parametrize(("value", "modulus"), [(1e200j, 1e200), (1.7e308 + 1.7e308j, math.inf)])
def test_a_value_whose_density_is_beyond_all_floats_has_an_infinite_one(
    value: complex, modulus: float
) -> None:
    assert observables.of_value(value) == {
        "modulus": modulus,
        "density": math.inf,
        "phase": cmath.phase(value),
    }
