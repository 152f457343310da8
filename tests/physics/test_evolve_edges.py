"""Potentials that jump: the mean over each cell against counting, and the physics against textbook formulas."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import brentq

from qwf_async.lattice.grid import Grid
from qwf_async.observables.momentum import wave_numbers
from qwf_async.source import Source, evolve, gaussian, read_potential
from qwf_async.source.evolve.potentials import potential_values

Real = NDArray[np.float64]

FINE = 16
"""Parts of a cell along each axis that are counted; the edges below lie between such parts."""


def box(x: Real, y: Real, z: Real) -> Any:
    return 10.0 * ~((abs(x - 0.5) < 1.25) & (abs(y - 0.5) < 1.75) & (abs(z - 0.5) < 0.625))


def double_slit(x: Real, y: Real, z: Real) -> Any:
    return 20.0 * ((abs(x - 0.25) < 0.375) & ~(abs(abs(y) - 1.0) < 0.625)) + 0 * z


SHARP: dict[str, tuple[str, tuple[int, ...], Callable[[Real, Real, Real], Any]]] = {
    "barrier": (
        "barrier:height=2,width=1.25,centre=0.5",
        (12,),
        lambda x, y, z: 2.0 * (abs(x - 0.5) < 0.625),
    ),
    "thinner than a cell": ("barrier:height=8,width=0.25", (6,), lambda x, y, z: 8.0 * (abs(x) < 0.125)),
    "well, the same along y": ("barrier:height=-3", (9, 4), lambda x, y, z: -3.0 * (abs(x) < 0.5) + 0 * y),
    "step": ("step:height=1.5,centre=-0.75", (12,), lambda x, y, z: 1.5 * (x > -0.75)),
    "box": ("box:width=2.5x3.5x1.25,centre=0.5x0.5x0.5", (9, 12, 6), box),
    "double slit": ("double-slit:thickness=0.75,slit=1.25,apart=2,centre=0.25", (12, 9, 3), double_slit),
    "slits that meet": (
        "double-slit:slit=1.875,apart=1",
        (12, 9),
        lambda x, y, z: 20.0 * ((abs(x) < 0.5) & ~(abs(y) < 1.4375)),
    ),
}


@pytest.mark.parametrize(("text", "sizes", "point"), SHARP.values(), ids=SHARP.keys())
def test_where_it_jumps_a_potential_is_its_mean_over_the_cell(
    text: str, sizes: tuple[int, ...], point: Callable[[Real, Real, Real], Any]
) -> None:
    extents = tuple(n * step for n, step in zip(sizes, (1.0, 0.5, 2.0), strict=False))
    grid = Grid.of(sizes, box=extents)
    parts = [np.zeros(1)] * 3
    for axis in range(1, len(sizes) + 1):
        step = grid.axes[axis].step
        assert step is not None
        middles = ((np.arange(FINE) + 0.5) / FINE - 0.5) * step
        parts[axis - 1] = (grid.coordinates(axis, 0, grid.shape[axis])[:, None] + middles).ravel()
    fine = np.asarray(point(*np.meshgrid(*parts, indexing="ij", sparse=True)), np.float64)
    fine = np.broadcast_to(fine, [len(part) for part in parts])
    counted = fine.reshape([m for part in parts for m in (max(1, len(part) // FINE), min(FINE, len(part)))])
    found = np.broadcast_to(potential_values(read_potential(text), grid, 0.0), grid.shape[1:])
    assert found == pytest.approx(counted.mean(axis=(1, 3, 5)), abs=1e-12)
    assert np.setdiff1d(found, fine).size, "no cell is cut by an edge"


@pytest.mark.parametrize("points", [128, 150, 256, 300])
@pytest.mark.parametrize(("width", "height"), [(2.0, 10.0), (2.37, 4.0)])
def test_the_ground_state_of_a_well_is_that_of_its_transcendental_equation(
    points: int, width: float, height: float
) -> None:
    """k tan(k w/2) = √(2V − k²), E = k²/2; Griffiths, section 2.6. Within 1 %, 2 % where a cell is 0.16 bohr."""
    edge = brentq(
        lambda k: k * math.tan(k * width / 2) - math.sqrt(2 * height - k * k), 1e-6, math.pi / width - 1e-9
    )
    grid = Grid.of((points,), box=(20.0,))
    v = potential_values(read_potential(f"box:width={width},height={height}"), grid, 0.0)[:, 0, 0]
    fourier = np.fft.fft(np.eye(points), norm="ortho")
    kinetic = (fourier.conj().T * (wave_numbers(grid, 1) ** 2 / 2)) @ fourier
    (lowest,) = eigh(kinetic.real + np.diag(v), eigvals_only=True, subset_by_index=[0, 0])
    assert lowest == pytest.approx(edge**2 / 2, rel=0.02 if points < 150 else 0.01)


def beyond(source: Source, place: float) -> float:
    """The probability at x > place in the last frame."""
    grid = source.grid
    with closing(source):
        psi = source.read(grid.whole)[-1, :, 0, 0]
    x, step = grid.coordinates(1, 0, grid.shape[1]), grid.axes[1].step
    assert step is not None
    return float((np.abs(psi[x > place]) ** 2).sum() * step)


def average(k: float, sigma: float, transmission: Callable[[Real], Real]) -> float:
    """T(k) averaged over the momenta of a Gaussian packet."""
    some = np.linspace(max(1e-3, k - 4 / sigma), k + 4 / sigma, 4001)
    weight = np.exp(-2 * (sigma * (some - k)) ** 2)
    return float((weight * transmission(some)).sum() / weight.sum())


@pytest.mark.parametrize("points", [512, 640, 777])
@pytest.mark.parametrize(("k", "height", "width"), [(2.0, 2.0, 1.0), (1.5, -2.0, 1.3)])
def test_a_barrier_and_a_well_let_through_what_the_textbook_says(
    points: int, k: float, height: float, width: float
) -> None:
    """T = 1/(1 + V² sinh²(qw)/(4E(V − E))), q² = 2(V − E); Griffiths, problem 2.33. Within 2 %."""

    def transmission(k: Real) -> Real:
        q = np.sqrt(2 * height - k**2 + 0j)
        return np.asarray(1 / (1 + (height * np.sinh(q * width) / (k * q)) ** 2).real)

    grid = Grid.of((points,), box=(80.0,), frames=2, dt=28 / k)
    source = evolve(gaussian(k=k, sigma=3, x0=-14, grid=grid), f"barrier:height={height},width={width}")
    assert beyond(source, width) == pytest.approx(average(k, 3, transmission), rel=0.02)


def test_a_step_lets_through_what_the_textbook_says() -> None:
    """T = 4kq/(k + q)², q² = k² − 2V; Griffiths, problem 2.34. The edge lies at 0.3 of a cell."""
    grid = Grid.of((500,), box=(100.0,), frames=2, dt=20.0)

    def transmission(k: Real) -> Real:
        q = np.sqrt(np.maximum(k**2 - 2.0, 0.0))
        return np.asarray(4 * k * q / (k + q) ** 2)

    source = evolve(gaussian(k=1.6, sigma=4, x0=-16, grid=grid), "step:height=1,centre=0.06")
    assert beyond(source, 0.06) == pytest.approx(average(1.6, 4, transmission), rel=0.02)


@pytest.mark.parametrize(
    ("state", "potential", "shape"),
    [
        ({"k": 2.0, "sigma": 2.0, "x0": -15.0}, "barrier:height=2,width=1", (128,)),
        ({"k": 0.5, "sigma": 2.0, "x0": -15.0}, "barrier:height=-9,width=2", (200,)),
        ({"k": (3.0, 0.0), "sigma": 2.0, "x0": (-15.0, 0.0)}, "double-slit", (200, 32)),
    ],
)
def test_a_grid_too_coarse_for_waves_at_an_edge_is_told_with_one_that_is_not(
    state: dict[str, Any], potential: str, shape: tuple[int, ...]
) -> None:
    """Below ten points a wave there is a warning: at 128 points the first of these lets 26 % too much pass."""

    def told(shape: tuple[int, ...]) -> list[str]:
        grid = Grid.of(shape, box=(80.0, 40.0)[: len(shape)], frames=2, dt=0.1)
        with closing(evolve(gaussian(grid=grid, **state), potential)) as source:
            return [text for text in source.warnings() if "the potential jumps" in text]

    (text,) = told(shape)
    advised = re.search(r"grid='([0-9x]+)' would do", text)
    assert advised is not None
    better = tuple(map(int, advised[1].split("x")))[: len(shape)]
    assert told(better) == []
    assert told(tuple(size - size // 20 for size in better)) != []


def test_smooth_potentials_and_axes_without_an_edge_need_no_such_points() -> None:
    for potential, shape in (("harmonic:omega=1", (32,)), ("barrier:height=1,width=8", (256, 16))):
        grid = Grid.of(shape, box=(40.0,) * len(shape), frames=2, dt=0.1)
        with closing(evolve(gaussian(k=1.0, sigma=2.0, x0=-10.0, grid=grid), potential)) as source:
            assert not any("jumps" in text for text in source.warnings())
