"""Absorbing edges: the share of a wave that they leave, against its scattering, and the warning of other waves."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np
import pytest

from qwf_async.lattice.grid import Box, Grid
from qwf_async.observables import norm
from qwf_async.source import Source, evolve, gaussian
from qwf_async.source.evolve.absorbing import absorbed, damping

CELLS = 1000


def left_of_a_wave(k: float, absorb: float, strength: float = 0.0) -> float:
    """|r|² + |t|² of a wave that goes over the edge of the periodic grid.

    Matrices carry (ψ, ψ') from cell to cell: ψ'' = −2(E + iW)ψ with E = k²/2, and in a cell W
    is constant, so that ψ is a sum of two exponentials there.
    """
    extent = 2.5 * absorb
    grid = Grid.of((CELLS,), box=(extent,))
    w = damping(grid, absorb, strength)
    assert w is not None
    matrix, step = np.eye(2, dtype=complex), extent / CELLS
    for value in np.roll(w[:, 0, 0], CELLS // 2):  # the edge in the middle
        q = np.sqrt(k * k + 2j * value)
        turn = np.array([[np.cos(q * step), np.sin(q * step) / q], [-q * np.sin(q * step), np.cos(q * step)]])
        matrix = turn @ matrix
    out, back = np.array([1, 1j * k]), np.array([1, -1j * k])  # of e^(ikx) and e^(−ikx)
    t, r = np.linalg.solve(np.array([out, -matrix @ back]).T, matrix @ out)
    return float(abs(r) ** 2 + abs(t) ** 2)


@pytest.mark.parametrize("absorb", [1.0, 7.0])
def test_the_edges_leave_less_than_a_thousandth_of_waves_in_their_range(absorb: float) -> None:
    low, high = absorbed(absorb, 0.0)
    assert low * absorb == pytest.approx(5.5)
    assert high * absorb > 80
    for k in np.geomspace(low, high, 40):
        assert left_of_a_wave(k, absorb) < 1e-3
    for share, of_width in ((1e-2, 4.4), (2e-2, 4.0), (0.23, 2.0)):
        assert left_of_a_wave(of_width / absorb, absorb) == pytest.approx(share, rel=0.2)


def test_a_strength_of_ones_own_is_that_of_the_edge() -> None:
    grid = Grid.of((400,), box=(40.0,))
    w = damping(grid, 5.0, 0.0)
    assert w is not None
    assert w.max() == pytest.approx(1840 / 25)
    for strength in (0.5, 5.0, 200.0):
        w = damping(grid, 5.0, strength)
        assert w is not None
        assert w.max() == w[0, 0, 0] == pytest.approx(strength)
        assert np.count_nonzero(w) == 99
    assert left_of_a_wave(1.1, 5.0, 5.0) < 2e-3
    assert absorbed(5.0, 5.0)[1] == pytest.approx(2.9, abs=0.1)
    assert left_of_a_wave(2.9, 5.0, 5.0) < 1e-3 < 3e-3 < left_of_a_wave(4.0, 5.0, 5.0)


def last_norm(source: Source) -> float:
    with closing(source):
        last = source.grid.shape[0] - 1
        psi = source.read(Box(start=(last, 0, 0, 0), stop=(last + 1, *source.grid.shape[1:])))
        return float(norm(psi, source.grid)[0])


@pytest.mark.parametrize(
    ("k", "absorb", "edge", "sizes"),
    [
        ((2.0,), 5.0, 60.0, (256,)),
        ((1.0,), 10.0, 90.0, (181,)),
        ((6.0,), 2.0, 30.0, (400,)),
        ((2.5, -2.5), 4.0, 30.0, (90, 80)),
    ],
)
def test_a_packet_is_gone_when_it_has_met_the_edges(
    k: tuple[float, ...], absorb: float, edge: float, sizes: tuple[int, ...]
) -> None:
    """The packet's spread of momenta is within the range, so a thousandth may be left."""
    grid = Grid.of(sizes, box=(edge,) * len(sizes), frames=2, dt=1.3 * edge / max(k))
    start = gaussian(k=k, sigma=(4 / max(k),) * len(sizes), grid=grid)
    assert last_norm(evolve(start, absorb=absorb)) < 1e-3
    assert last_norm(evolve(start)) == pytest.approx(1)


def told_of(absorb: float, **state: Any) -> list[str]:
    grid = Grid.of((200,), box=(60.0,), frames=5, dt=15.0)
    with closing(evolve(gaussian(sigma=4, grid=grid, **state), absorb=absorb)) as source:
        return [text for text in source.warnings() if "absorb" in text]


def test_waves_that_the_edges_would_leave_are_told_with_a_width_that_would_do() -> None:
    assert told_of(5.0, k=2) == []
    (told,) = told_of(5.0, k=0.9)
    assert "absorb=5 takes away all but 0.001 of waves of 1.1 to 16.8 ħ/bohr" in told
    assert "along x and is slower" in told
    wide = float(told.partition(": absorb=")[2].partition(" ")[0])
    assert told_of(wide, k=0.9) == []
    (told,) = told_of(5.0, k=0.5)
    assert "would do" not in told, "no width that this grid has room for"
    (told,) = told_of(0.3, k=1.5)
    assert "slower" in told


def test_waves_that_never_come_to_the_edges_are_not_told() -> None:
    grid = Grid.of((400,), box=(100.0,), frames=2, dt=10.0)
    for k in (0.5, -0.9, 4.3):
        assert evolve(gaussian(k=k, sigma=4, x0=0, grid=grid), absorb=5).warnings() == []
    near = gaussian(k=0.5, sigma=4, x0=30, grid=grid)
    assert len(evolve(near, absorb=5).warnings()) == 1


def test_axes_along_which_nothing_is_absorbed_in_time_count_for_themselves() -> None:
    grid = Grid.of((120, 120), box=(40.0, 60.0), frames=2, dt=20.0)
    start = gaussian(k=(2, 0.5), sigma=3, grid=grid)
    (told,) = evolve(start, absorb=4).warnings()
    assert "along y" in told
