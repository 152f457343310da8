"""The states of hydrogen against SciPy and the textbook's mean values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from qwf_async.lattice.grid import Axis, Box, Grid
from qwf_async.source import hydrogen
from tests.support.analytic import Array, mean, positions, whole


def between(points: int, half: float) -> Grid:
    """A cube with its middle between points, so that no point is at the nucleus."""
    step = 2 * half / points
    axis = Axis(origin=-half + step / 2, step=step, unit="bohr")
    return Grid(shape=(1, points, points, points), axes=(Axis(), axis, axis, axis))


@pytest.mark.parametrize(
    ("n", "l", "m", "Z"), [(1, 0, 0, 1), (2, 1, -1, 1), (3, 1, 0, 1), (3, 2, 2, 2), (4, 3, -2, 1)]
)
def test_hydrogen_has_the_known_radius_and_energy(n: int, l: int, m: int, Z: float) -> None:  # noqa: E741, N803 # as in physics
    half = hydrogen(n, l, m, Z=Z).grid.axes[1].origin
    source = hydrogen(n, l, m, Z=Z, grid=between(100, -half))
    x, y, z = (positions(source.grid, a) for a in (1, 2, 3))
    r = np.sqrt(x[:, None, None] ** 2 + y[:, None] ** 2 + z**2)
    rough = 0.02 if l == 0 else 1e-3  # the cusp at the nucleus
    assert mean(source, np.ones(())) == pytest.approx(1, rel=rough)
    assert mean(source, r) == pytest.approx((3 * n * n - l * (l + 1)) / (2 * Z), rel=rough)
    assert mean(source, 1 / r) == pytest.approx(Z / n**2, rel=rough)


@pytest.mark.parametrize(("n", "l"), [(1, 0), (4, 3), (5, 2), (12, 7), (30, 0), (30, 29)])
def test_hydrogen_is_that_of_scipy(n: int, l: int) -> None:  # noqa: E741 # quantum number
    grid = between(9, 0.9 * n * n)
    x, y, z = np.meshgrid(*(positions(grid, a) for a in (1, 2, 3)), indexing="ij")
    r, theta, phi = np.sqrt(x * x + y * y + z * z), np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    norm = math.sqrt((2 / n) ** 3 * math.factorial(n - l - 1) / (2 * n * math.factorial(n + l)))
    rho = 2 * r / n
    radial = norm * np.exp(-rho / 2) * rho**l * special.eval_genlaguerre(n - l - 1, 2 * l + 1, rho)
    for m in {-l, -l // 2, -1 if l else 0, 0, min(l, 1), l}:
        expected = radial * special.sph_harm_y(l, m, theta, phi)
        np.testing.assert_allclose(
            whole(hydrogen(n, l, m, grid=grid))[0], expected, rtol=1e-9, atol=1e-10 * np.abs(expected).max()
        )


def radial(n: int, l: int, r: Array, Z: float = 1) -> Array:  # noqa: E741, N803 # as in physics
    """R_nl(r) from the state m = 0 along the z axis, where Y_l0 is √((2l+1)/4π)."""
    axis = Axis(step=float(r[1] - r[0]))
    grid = Grid(shape=(1, 2, 2, len(r)), axes=(Axis(), Axis(step=1.0), Axis(step=1.0), axis))
    state = hydrogen(n, l, 0, Z=Z, grid=grid)
    along = state.read(Box(start=(0, 0, 0, 0), stop=(1, 1, 1, len(r))))[0, 0, 0]
    assert not along.imag.any()
    return np.asarray(along.real / math.sqrt((2 * l + 1) / (4 * math.pi)))


@pytest.mark.parametrize("l", [0, 1, 5, 27])
def test_hydrogen_radial_functions_are_orthonormal(l: int) -> None:  # noqa: E741 # quantum number
    r = np.linspace(0, 2600, 60_001)
    functions = np.array([radial(n, l, r) * r for n in (l + 1, l + 2, 30)])
    np.testing.assert_allclose(functions @ functions.T * r[1], np.eye(3), atol=2e-4)


@pytest.mark.parametrize(("n", "l"), [(1, 0), (4, 0), (4, 2), (15, 0), (30, 3), (60, 0), (60, 59)])
def test_hydrogen_radial_means_are_those_of_the_textbook(n: int, l: int) -> None:  # noqa: E741 # quantum number
    Z = 1.5  # noqa: N806 # nuclear charge
    r = np.linspace(0, (2 * n * n + 40 * n) / Z, 200_001)
    density = (radial(n, l, r, Z) * r) ** 2 * r[1]
    assert density @ r == pytest.approx((3 * n * n - l * (l + 1)) / (2 * Z), rel=1e-6)
    assert density[1:] @ (1 / r[1:]) == pytest.approx(Z / n**2, rel=1e-3)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 16, 30, 60])
def test_hydrogen_default_box_leaves_out_less_than_a_millionth(n: int) -> None:
    for l in {0, n // 2, n - 1}:  # noqa: E741 # quantum number
        grid = hydrogen(n, l, 0, Z=2).grid
        half = -grid.axes[1].origin
        assert grid.axes[1].step == pytest.approx(2 * half / 64)
        r = np.linspace(0, 2 * half, 40_001)
        density = (radial(n, l, r, Z=2) * r) ** 2 * r[1]
        assert density.sum() == pytest.approx(1, abs=1e-4)
        assert density[r > half].sum() < 1e-6


def test_hydrogen_turns_with_its_energy() -> None:
    source = hydrogen(2, 1, 0, Z=3, grid=Grid.cube(8, frames=4))
    dt = source.grid.axes[0].step
    assert dt == pytest.approx(4 * math.pi * 4 / 9 / 4)  # a quarter of the period
    psi = whole(source)
    np.testing.assert_allclose(psi[1], 1j * psi[0], atol=1e-16)


def test_hydrogen_far_away_is_zero_and_not_nan() -> None:
    psi = whole(hydrogen(60, 59, 59, grid=Grid.cube(6, box=1e40)))
    assert not psi.any()
    assert np.isfinite(whole(hydrogen(60, 0, 0, grid=Grid.cube(6, box=1e6)))).all()
