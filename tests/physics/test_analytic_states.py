"""The analytic states against integrals, SciPy and the Schrödinger equation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from qwf_async.lattice.grid import Axis, Box, Grid
from qwf_async.source import box, coherent, gaussian, harmonic, hydrogen, plane
from qwf_async.source.analytic.formula import Analytic
from tests.support.analytic import Array, line, mean, positions, whole

NORMALISED = {
    "gaussian 1-D": lambda: gaussian(k=3, sigma=0.7, x0=-2, grid=line(4)),
    "gaussian 2-D": lambda: gaussian(k=(1, -2), sigma=(1, 0.5), grid=Grid.of((64, 80), frames=3)),
    "gaussian 3-D": lambda: gaussian(k=2, sigma=(1, 2, 1.5), x0=(0, 1, 0)),
    "plane": lambda: plane(k=(1, -2, 3), grid=Grid.cube(16, frames=2)),
    "plane at rest": lambda: plane(k=0, grid=Grid.cube(8, frames=2)),
    "box 1-D": lambda: box({1: 1, 2: 1j, 7: -0.5}, grid=line(5, points=64)),
    "box 3-D": lambda: box({(1, 2, 1): 1, (2, 1, 1): 1}, grid=Grid.of((16, 24, 20), box=(1, 2, 3))),
    "harmonic 1-D": lambda: harmonic({0: 1, 3: 1}, grid=line(4)),
    "harmonic high": lambda: harmonic(500, omega=0.3, grid=line(points=4096)),
    "harmonic 3-D": lambda: harmonic((1, 0, 2), omega=(1, 2, 0.5)),
    "coherent 1-D": lambda: coherent(alpha=2 - 1j, omega=0.5, grid=line(6)),
    "coherent 3-D": lambda: coherent(alpha=(1, 1j), omega=2),
    "hydrogen": lambda: hydrogen(3, 2, 1, Z=2, grid=Grid.cube(96)),
    "heavy gaussian": lambda: gaussian(k=5, sigma=0.7, mass=5, grid=line(4)),
    "light oscillator": lambda: harmonic({0: 1, 3: 1}, mass=0.067, grid=line(4)),
    "heavy coherent": lambda: coherent(alpha=2 - 1j, omega=0.5, mass=20, grid=line(6)),
    "muonic hydrogen": lambda: hydrogen(3, 2, 1, mass=186, grid=Grid.cube(96)),
}


@pytest.mark.parametrize("make", NORMALISED.values(), ids=NORMALISED.keys())
def test_states_are_normalised_on_their_default_box(make: Callable[[], Analytic]) -> None:
    source = make()
    norms = mean(source, np.ones(()))
    np.testing.assert_allclose(norms, np.ones(source.grid.shape[0]), atol=1e-6)


@pytest.mark.parametrize("make", NORMALISED.values(), ids=NORMALISED.keys())
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_piece_is_that_piece_of_the_whole(make: Callable[[], Analytic], data: st.DataObject) -> None:
    source = make()
    edges = [
        sorted((data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, n - 1))))
        for n in source.grid.shape
    ]
    piece = Box(start=_four([a for a, _ in edges]), stop=_four([b + 1 for _, b in edges]))
    got = source.read(piece)
    assert got.shape == piece.shape
    assert got.dtype == np.complex128
    assert got.flags.c_contiguous
    np.testing.assert_allclose(got, whole(source)[piece.slices], rtol=1e-13, atol=1e-300)


def _four(values: list[int]) -> tuple[int, int, int, int]:
    t, x, y, z = values
    return t, x, y, z


# Weights of central differences of eighth order: Fornberg, Mathematics of Computation 51 (1988), 699.
SECOND = np.array([-1 / 560, 8 / 315, -1 / 5, 8 / 5, -205 / 72, 8 / 5, -1 / 5, 8 / 315, -1 / 560])
FIRST = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280])


def fine(dimensions: int, width: float) -> Grid:
    return Grid.of((400,) * dimensions, box=(width,) * dimensions, frames=1000, dt=0.002)


def oscillating(source: Analytic) -> Callable[..., float]:
    omega = getattr(source, "omega")  # noqa: B009 # of two classes
    mass = source.grid.mass
    return lambda *r: sum(0.5 * mass * w * w * q * q for w, q in zip(omega, r, strict=False))


EVOLVING: dict[str, tuple[Analytic, Callable[..., float]]] = {
    "gaussian": (gaussian(k=(2, -1, 0.5), sigma=(0.5, 1, 0.8), grid=fine(3, 8)), lambda *_: 0.0),
    "plane": (plane(k=(2, 0, -1), grid=fine(3, 8)), lambda *_: 0.0),
    "box 1-D": (box({1: 1, 2: 1j, 3: 0.3}, grid=fine(1, 8)), lambda *_: 0.0),
    "box 2-D": (box({(1, 2): 1, (2, 1): 1j}, grid=fine(2, 8)), lambda *_: 0.0),
    "harmonic": (
        s := harmonic({(0, 1, 2): 1, (1, 0, 0): 2j}, omega=(1, 2, 1.5), grid=fine(3, 8)),
        oscillating(s),
    ),
    "coherent": (c := coherent(alpha=(1 + 1j, -0.5), omega=(1, 2, 1.5), grid=fine(3, 8)), oscillating(c)),
    "hydrogen 1s": (hydrogen(1, 0, 0, grid=fine(3, 8)), lambda *r: -1 / math.hypot(*r)),
    "hydrogen 3d": (hydrogen(3, 2, -1, Z=2, grid=fine(3, 8)), lambda *r: -2 / math.hypot(*r)),
    "hydrogen 5f": (hydrogen(5, 3, 2, Z=3, grid=fine(3, 16)), lambda *r: -3 / math.hypot(*r)),
    "heavy gaussian": (gaussian(k=(2, -1), sigma=(0.5, 1), mass=3, grid=fine(2, 8)), lambda *_: 0.0),
    "light plane": (plane(k=(2, -1), mass=0.2, grid=fine(2, 8)), lambda *_: 0.0),
    "heavy box": (box({(1, 2): 1, (2, 1): 1j}, mass=5, grid=fine(2, 8)), lambda *_: 0.0),
    "light oscillator": (
        s := harmonic({(0, 1): 1, (1, 0): 2j}, omega=(1, 2), mass=0.5, grid=fine(2, 8)),
        oscillating(s),
    ),
    "heavy coherent": (
        c := coherent(alpha=(1 + 1j, -0.5), omega=(1, 2), mass=2, grid=fine(2, 8)),
        oscillating(c),
    ),
    "positronium": (hydrogen(2, 1, 0, mass=0.5, grid=fine(3, 8)), lambda *r: -1 / math.hypot(*r)),
}


@pytest.mark.parametrize(("source", "potential"), EVOLVING.values(), ids=EVOLVING.keys())
@pytest.mark.parametrize("at", [(40, 250, 240, 230), (900, 150, 260, 170)])
def test_states_obey_the_schroedinger_equation(
    source: Analytic, potential: Callable[..., float], at: tuple[int, int, int, int]
) -> None:
    grid, d = source.grid, source.grid.dimensions
    centre = _four([at[0], *at[1 : d + 1], *(0,) * (3 - d)])
    reach = _four([4] * (d + 1) + [0] * (3 - d))
    patch = Box(
        start=_four([c - r for c, r in zip(centre, reach, strict=True)]),
        stop=_four([c + r + 1 for c, r in zip(centre, reach, strict=True)]),
    )
    psi = source.read(patch)
    middle = psi[reach]

    def derivative(axis: int, weights: Array, power: int) -> complex:
        step = grid.axes[axis].step
        assert step is not None
        across = psi[tuple(slice(None) if a == axis else r for a, r in enumerate(reach))]
        return complex(weights @ across) / step**power

    r = [float(grid.coordinates(a, centre[a], centre[a] + 1)[0]) for a in range(1, d + 1)]
    change = 1j * derivative(0, FIRST, 1)
    kinetic = [-0.5 / grid.mass * derivative(a, SECOND, 2) for a in range(1, d + 1)]
    energy = sum(kinetic) + potential(*r) * middle
    size = abs(change) + sum(map(abs, kinetic)) + abs(potential(*r) * middle)
    assert size > 1e-6, "the patch must lie where the state is"
    assert abs(change - energy) < 1e-7 * size


def test_gaussian_moves_and_spreads() -> None:
    source = gaussian(k=1.5, sigma=0.8, x0=-3, grid=line(6, dt=0.7))
    t, x = positions(source.grid, 0), positions(source.grid, 1)[:, None, None]
    centre = mean(source, x)
    np.testing.assert_allclose(centre, -3 + 1.5 * t, atol=1e-6)
    width = np.sqrt(mean(source, x**2) - centre**2)
    np.testing.assert_allclose(width, 0.8 * np.sqrt(1 + (t / (2 * 0.8**2)) ** 2), rtol=1e-6)


def test_gaussian_has_the_momentum_and_energy_it_was_given() -> None:
    source = gaussian(k=2, sigma=0.5, grid=line(2, points=1024, width=60, dt=1.0))
    wave_numbers = 2 * math.pi * np.fft.fftfreq(1024, d=60 / 1024)
    weight = np.abs(np.fft.fft(whole(source)[:, :, 0, 0])) ** 2
    weight /= weight.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weight @ wave_numbers, [2, 2], rtol=1e-9)
    np.testing.assert_allclose(weight @ wave_numbers**2 / 2, [2.5, 2.5], rtol=1e-9)  # k²/2 + 1/8σ²


def test_gaussian_default_box_holds_every_frame() -> None:
    source = gaussian(k=(0, 5), sigma=0.3, grid=Grid.of((96, 256), frames=8))
    np.testing.assert_allclose(mean(source, np.ones(())), np.ones(8), atol=1e-7)


def test_plane_is_periodic_uniform_and_turns_with_its_energy() -> None:
    source = plane(k=(3, -1), grid=Grid.of((32, 16), box=(6, 5), frames=3, dt=0.1))
    psi = whole(source)[:, :, :, 0]
    np.testing.assert_allclose(np.abs(psi) ** 2, np.full(psi.shape, 1 / 30))
    spectrum = np.abs(np.fft.fft2(psi[0]))
    assert spectrum[3, 15] == spectrum.max()
    energy = ((2 * math.pi * 3 / 6) ** 2 + (2 * math.pi / 5) ** 2) / 2
    np.testing.assert_allclose(psi[1] / psi[0], np.full((32, 16), np.exp(-0.1j * energy)))


def test_box_revives_after_its_period() -> None:
    source = box({1: 1, 2: 0.5j, 5: -1}, grid=line(2, width=3, dt=4 * 9 / math.pi))
    before, after = whole(source)
    np.testing.assert_allclose(after, before, atol=1e-12)


def test_box_swings_between_its_walls() -> None:
    """⟨x⟩ of (φ₁ + φ₂)/√2 is L/2 − (16L/9π²) cos((E₂ − E₁)t); Griffiths, problem 2.5."""
    length = 3.0
    source = box({1: 1, 2: 1}, grid=line(7, width=length, dt=0.3))
    t, x = positions(source.grid, 0), positions(source.grid, 1)[:, None, None]
    swing = np.cos(3 * math.pi**2 / (2 * length**2) * t)
    np.testing.assert_allclose(
        mean(source, x), length / 2 - 16 * length / (9 * math.pi**2) * swing, atol=1e-4
    )


def test_box_lies_between_zero_and_its_extent() -> None:
    source = box(3, grid=line(points=30, width=6))
    assert source.grid.axes[1] == Axis(origin=0.0, step=0.2, unit="bohr")
    psi = whole(source)[0, :, 0, 0]
    np.testing.assert_allclose(psi[[0, 10, 20]], 0, atol=1e-15)
    assert psi[5] == pytest.approx(math.sqrt(2 / 6))


def test_box_eigenstates_are_orthonormal() -> None:
    grid = line(points=12, width=2)
    states = np.array([whole(box(n, grid=grid)).ravel() for n in range(1, 12)])
    np.testing.assert_allclose(states @ states.conj().T * 2 / 12, np.eye(11), atol=1e-13)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 40])
def test_harmonic_eigenfunctions_are_those_of_scipy(n: int) -> None:
    source = harmonic(n, omega=1.7, grid=line())
    xi = math.sqrt(1.7) * positions(source.grid, 1)
    scale = (1.7 / math.pi) ** 0.25 / math.sqrt(2.0**n * math.factorial(n))
    expected = scale * special.eval_hermite(n, xi) * np.exp(-xi * xi / 2)
    np.testing.assert_allclose(whole(source)[0, :, 0, 0], expected, atol=1e-12)


@pytest.mark.parametrize("n", [0, 3, 60, 500])
def test_harmonic_obeys_the_virial_theorem(n: int) -> None:
    source = harmonic(n, omega=0.4, grid=line(points=4096))
    x = positions(source.grid, 1)[:, None, None]
    np.testing.assert_allclose(mean(source, x**2), (n + 0.5) / 0.4, rtol=1e-9)


def test_coherent_swings_without_spreading() -> None:
    omega, alpha = 0.8, 1.5 - 0.7j
    source = coherent(alpha=alpha, omega=omega, grid=line(9))
    t, x = positions(source.grid, 0), positions(source.grid, 1)[:, None, None]
    x0, p0 = math.sqrt(2 / omega) * alpha.real, math.sqrt(2 * omega) * alpha.imag
    centre = mean(source, x)
    np.testing.assert_allclose(centre, x0 * np.cos(omega * t) + p0 / omega * np.sin(omega * t), atol=1e-9)
    np.testing.assert_allclose(mean(source, x**2) - centre**2, 1 / (2 * omega), rtol=1e-9)


def test_coherent_is_its_sum_of_eigenstates() -> None:
    alpha, grid = 1.1 + 0.6j, line(3, width=16, dt=0.9)
    poisson = {n: alpha**n / math.sqrt(math.factorial(n)) for n in range(40)}
    np.testing.assert_allclose(
        whole(coherent(alpha=alpha, omega=1.3, grid=grid)),
        whole(harmonic(poisson, omega=1.3, grid=grid)),
        atol=1e-12,
    )
