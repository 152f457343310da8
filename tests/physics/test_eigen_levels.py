"""The lowest eigenstates against levels that are known, and against other methods for the same H."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.sparse.linalg import LinearOperator, eigsh

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Grid
from qwf_async.observables import energy
from qwf_async.observables.momentum import wave_numbers
from qwf_async.source import eigen
from qwf_async.source.evolve.potentials import potential_values, read_potential

Real = NDArray[np.float64]


def solved(grid: Grid, potential: Any, **options: Any) -> tuple[Real, NDArray[np.complex128], list[str]]:
    """Energies, states ψ[n, x, y, z], and remarks."""
    with closing(eigen(grid, potential, **options)) as source:
        psi = source.read(source.grid.whole)
        notes = source.notes()
        overlaps = np.einsum("axyz,bxyz->ab", psi.conj(), psi) * (source.grid.cell_volume or 0.0)
        assert np.abs(overlaps - np.eye(len(psi))).max() < 1e-12, "orthonormal"
        assert np.abs(psi.imag).max() == 0
        levels = np.array([notes[f"energy_{number}"] for number in range(len(psi))])
        v = potential_values(source.potential, source.grid, 0.0)
        np.testing.assert_allclose(energy(psi, source.grid, v), levels, rtol=1e-10, atol=1e-12)
        return levels, psi, source.remarks()


@pytest.mark.parametrize("mass", [1.0, 0.067])
@pytest.mark.parametrize("points", [100, 4096])
def test_levels_of_an_oscillator_in_its_own_box(points: int, mass: float) -> None:
    levels, _, remarks = solved(Grid.of((points,)), "harmonic:omega=0.7,centre=1", n=6, mass=mass)
    np.testing.assert_allclose(levels, 0.7 * (np.arange(6) + 0.5), rtol=1e-9)
    assert remarks == []


def test_degenerate_levels_of_oscillators_come_in_a_fixed_choice() -> None:
    flat, states, _ = solved(Grid.of((48, 48)), "harmonic", n=6)
    np.testing.assert_allclose(flat, [1, 2, 2, 3, 3, 3], rtol=1e-7)
    round_, orbitals, remarks = solved(Grid.cube(32), "harmonic", n=4)
    np.testing.assert_allclose(round_, [1.5, 2.5, 2.5, 2.5], rtol=1e-7)
    assert remarks == []
    x = np.arange(48) - 24
    for state, along in ((states[1], x[:, None, None]), (states[2], x[None, :, None])):
        expected = along * states[0]
        size = np.abs(np.vdot(expected, state)) / np.linalg.norm(expected) / np.linalg.norm(state)
        assert size > 1 - 1e-9, "φ10 before φ01, not mixed"
    for number, axis in ((1, 0), (2, 1), (3, 2)):
        density = np.abs(orbitals[number]) ** 2
        middle = np.take(density, 16, axis=axis)
        assert middle.max() < 1e-12 * density.max(), "a node in the plane across the axis"


def test_a_level_that_is_cut_is_told_and_its_choice_is_that_of_the_whole_level() -> None:
    _, whole, _ = solved(Grid.of((48, 48)), "harmonic", n=6)
    with closing(eigen(Grid.of((48, 48)), "harmonic", n=4)) as few:
        part = few.read(few.grid.whole)
        assert few.remarks() == [
            "state 3 belongs to a level of which n=4 cuts off a part: give n=6 for all of it"
        ]
    np.testing.assert_allclose(part, whole[:4], atol=1e-6)


def finite_well(width: float, height: float, count: int) -> list[float]:
    """Levels of V = 0 within `width`, `height` outside: z tan z or −z cot z = √(z0² − z²) (Griffiths, 2.6)."""
    z0 = width / 2 * math.sqrt(2 * height)

    def even(z: float) -> float:
        return z * math.sin(z) - math.sqrt(z0 * z0 - z * z) * math.cos(z)

    def odd(z: float) -> float:
        return z * math.cos(z) + math.sqrt(z0 * z0 - z * z) * math.sin(z)

    roots = [
        brentq(odd if n % 2 else even, n * math.pi / 2 + 1e-12, (n + 1) * math.pi / 2, xtol=1e-14)
        for n in range(count)
    ]
    return [2 * (z / width) ** 2 for z in roots]


def test_walls_so_high_that_rounding_hides_the_states() -> None:
    grid = Grid.of((192,), box=(20.0,))

    def walls(height: float) -> Callable[..., Any]:
        return lambda x, y, z: np.where(abs(x) < 9, x * x / 2, height)

    levels, _, remarks = solved(grid, walls(1e10), n=3)
    np.testing.assert_allclose(levels, [0.5, 1.5, 2.5], rtol=1e-9)
    assert [text.partition(",")[0] for text in remarks] == ["the potential reaches 1e+10 Eh"]
    with pytest.raises(InvalidInput, match="lost in rounding: the potential reaches 1e\\+15 Eh"):
        solved(grid, walls(1e15), n=3)


def test_levels_between_walls_of_a_finite_height() -> None:
    exact = finite_well(4.0, 10.0, 3)
    levels, _, remarks = solved(Grid.of((8192,), box=(10.0,)), "box:width=4,height=10", n=3)
    np.testing.assert_allclose(levels, exact, rtol=1e-6)
    assert remarks == []


@pytest.mark.parametrize("edge", [8.0, 8.7, 9.37, 10.0])
def test_what_a_jump_between_points_costs_is_told(edge: float) -> None:
    exact = finite_well(4.0, 10.0, 3)
    with closing(eigen(Grid.of((128,), box=(edge,)), "box:width=4,height=10", n=3)) as source:
        source.read(source.grid.whole)
        notes = source.notes()
        error = max(abs(notes[f"energy_{n}"] - exact[n]) for n in range(3))
        assert error < 1.06 * notes["energy_jump_error"] < 0.01
        assert any("jumps" in text for text in source.remarks())


def test_levels_of_a_soft_coulomb_potential_equal_those_on_an_endless_line() -> None:
    """Against H in the basis of sinc functions, which is not periodic: Colbert and Miller, J. Chem. Phys. 96, 1982."""
    levels, _, remarks = solved(Grid.of((512,), box=(120.0,)), "coulomb", n=4)
    np.testing.assert_allclose(levels[:1], [-0.669777], atol=1e-6)  # Javanainen, Eberly and Su
    step, half = 0.25, 280
    x = step * np.arange(-half, half + 1)
    apart = np.subtract.outer(np.arange(len(x)), np.arange(len(x)))
    with np.errstate(divide="ignore"):
        t = np.where(apart == 0, math.pi**2 / 3, 2.0 / apart**2) * (-1.0) ** apart / (2 * step**2)
    endless = np.linalg.eigvalsh(t - np.diag(1 / np.sqrt(x * x + 1)))[:4]
    np.testing.assert_allclose(levels, endless, atol=1e-8)
    assert remarks == []


def poeschl_teller(x: Real, y: Real, z: Real) -> Real:
    return -10.0 / np.cosh(x) ** 2  # λ(λ + 1)/2 with λ = 4


def morse(x: Real, y: Real, z: Real) -> Real:
    return 8.0 * (1 - np.exp(-np.clip(x, -2.5, None))) ** 2


@pytest.mark.parametrize(
    ("potential", "box", "exact"),
    [
        (poeschl_teller, 40.0, [-((4 - n) ** 2) / 2 for n in range(3)]),
        (morse, 30.0, [4 * (n + 0.5) - (n + 0.5) ** 2 / 2 for n in range(3)]),
    ],
)
def test_levels_of_functions(potential: Callable[..., Any], box: float, exact: list[float]) -> None:
    levels, _, remarks = solved(Grid.of((1024,), box=(box,)), potential, n=3)
    np.testing.assert_allclose(levels, exact, atol=1e-6)
    assert remarks == []


@pytest.mark.parametrize("sizes", [(200,), (30, 27), (12, 10, 11)], ids=["1-D", "2-D", "3-D"])
def test_a_potential_without_symmetry_has_the_levels_of_its_matrix(sizes: tuple[int, ...]) -> None:
    grid = Grid.of(sizes, box=(9.0, 8.0, 7.0)[: len(sizes)])
    v = np.random.default_rng(3).uniform(-5, 5, grid.shape[1:])
    levels, psi, _ = solved(grid, lambda x, y, z: v, n=5)
    t = sum(
        np.expand_dims(wave_numbers(grid, axis) ** 2 / 2, [a for a in (0, 1, 2) if a != axis - 1])
        for axis in (1, 2, 3)[: len(sizes)]
    )

    def h(state: Real) -> Real:
        cube = state.reshape(v.shape)
        applied: Real = (np.fft.ifftn(t * np.fft.fftn(cube)).real + v * cube).reshape(-1)
        return applied

    operator = LinearOperator((v.size, v.size), matvec=h, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(v.size)
    exact, states = eigsh(operator, k=5, which="SA", v0=start, ncv=60)
    np.testing.assert_allclose(levels, np.sort(exact), rtol=0, atol=1e-10)
    ours = psi.real.reshape(5, -1) * math.sqrt(grid.cell_volume or 0.0)
    np.testing.assert_allclose(np.abs(ours @ states[:, np.argsort(exact)]), np.eye(5), atol=1e-6)


def test_a_deep_well_that_the_coarse_grids_miss_is_found() -> None:
    grid = Grid.of((16384,), box=(20.0,))
    table = (grid.coordinates(1, 0, 16384) ** 2 / 2)[:, None, None]
    table[8192 + 3] -= 60.0  # at one odd point of the grid; and a table knows this grid only
    levels, _, _ = solved(grid, lambda x, y, z: table, n=2)
    coarse, _, _ = solved(Grid.of((4096,), box=(20.0,)), "harmonic", n=2)
    depth = 60.0 * 20 / 16384  # of a delta well: it lowers E0 by depth |φ0(0)|² and a second order
    assert levels[0] == pytest.approx(coarse[0] - depth / math.sqrt(math.pi), abs=depth**2)
    assert levels[1] == pytest.approx(coarse[1], abs=1e-4)


def test_read_potential_and_text_of_a_potential_are_the_same() -> None:
    levels, _, _ = solved(Grid.of((64,)), read_potential("harmonic:omega=2"), n=2)
    np.testing.assert_allclose(levels, [1, 3], rtol=1e-9)
