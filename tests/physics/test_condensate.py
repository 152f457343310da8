"""The ground state with g|ψ|² against its limits, a soliton, and the equation that it obeys."""

from __future__ import annotations

import math
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Grid
from qwf_async.observables.momentum import wave_numbers
from qwf_async.source import eigen, evolve
from qwf_async.source.evolve.potentials import potential_values


def ground(grid: Grid, potential: str, g: float, **options: Any) -> tuple[NDArray[Any], dict[str, float]]:
    """ψ[x, y, z] and its notes, after Hψ + g|ψ|²ψ = μψ was checked at every point."""
    with closing(eigen(grid, potential, g=g, **options)) as source:
        psi = source.read(source.grid.whole)[0].real
        notes, grid = source.notes(), source.grid
        assert source.remarks() == []
        v = potential_values(source.potential, grid, 0.0)
    waves = np.fft.fftn(psi)
    bent = sum(
        np.fft.ifftn(
            waves * np.expand_dims(wave_numbers(grid, axis) ** 2, [a for a in (0, 1, 2) if a != axis - 1])
        ).real
        for axis in range(1, grid.dimensions + 1)
    ) / (2 * grid.mass)
    left = bent + v * psi + g * psi**3 - notes["chemical_potential"] * psi
    cell = grid.cell_volume or 0.0
    assert math.sqrt((left**2).sum() * cell) < 1e-6 * notes["chemical_potential"] or g < 0
    energy = ((psi * (bent + v * psi)).sum() + g / 2 * (psi**4).sum()) * cell
    assert energy == pytest.approx(notes["energy_0"], rel=1e-10)
    assert (psi**2).sum() * cell == pytest.approx(1, abs=1e-12)
    return psi, notes


@pytest.mark.parametrize("mass", [1.0, 3.0])
def test_a_little_interaction_shifts_the_energies_as_first_order_says(mass: float) -> None:
    shift = 1e-3 * math.sqrt(mass / (2 * math.pi))  # g ∫φ0⁴ dx
    _, notes = ground(Grid.of((64,)), "harmonic", 1e-3, mass=mass)
    assert notes["energy_0"] == pytest.approx(0.5 + shift / 2, abs=shift**2)
    assert notes["chemical_potential"] == pytest.approx(0.5 + shift, abs=shift**2)


@pytest.mark.parametrize(
    ("sizes", "g", "mu"),
    [
        ((512,), 4000.0, (1.5 * 4000.0) ** (2 / 3) / 2),
        ((96, 96), 4000.0, math.sqrt(4000.0 / math.pi)),
        ((40, 40, 40), 20_000.0, (15 * 20_000.0 / (4 * math.pi)) ** 0.4 / 2),
    ],
    ids=["1-D", "2-D", "3-D"],
)
def test_strong_repulsion_comes_to_the_limit_of_thomas_and_fermi(
    sizes: tuple[int, ...], g: float, mu: float
) -> None:
    """Its corrections are of the order of log(μ)/μ²; in its own box, which grows with g."""
    _, notes = ground(Grid.of(sizes), "harmonic", g)
    assert notes["chemical_potential"] == pytest.approx(mu, rel=3 / mu**2 * math.log(mu))
    d = len(sizes)
    assert notes["energy_0"] == pytest.approx(mu * (d + 2) / (d + 4), rel=6 / mu**2 * math.log(mu))


def test_an_attracted_state_is_the_bright_soliton_also_where_all_places_are_alike() -> None:
    """ψ = √(k/2) / cosh(kx), k = |g|/2, μ = −k²/2, E = −k²/6 (Pethick and Smith, section 7.3)."""
    psi, notes = ground(Grid.of((256,), box=(40.0,)), "free", -2.0)
    assert notes["chemical_potential"] == pytest.approx(-0.5, abs=1e-7)
    assert notes["energy_0"] == pytest.approx(-1 / 6, abs=1e-7)
    x = np.arange(256) * 40 / 256
    centre = (x * psi[:, 0, 0] ** 2).sum() * 40 / 256
    np.testing.assert_allclose(psi[:, 0, 0], math.sqrt(0.5) / np.cosh(x - centre), atol=1e-6)


def test_too_much_attraction_in_a_plane_is_refused() -> None:
    with closing(eigen(Grid.of((64, 64)), "harmonic", g=-20.0)) as source:
        with pytest.raises(InvalidInput, match="collapse"):
            source.read(source.grid.whole)
        assert source.notes() == {}


def test_a_ground_state_stands_still_when_it_is_evolved() -> None:
    with closing(eigen(Grid.of((128,)), "harmonic", g=10.0)) as source:
        film = evolve(source, "harmonic", g=10.0, frames=3, dt=0.5, accuracy=1e-6)
        frames = film.read(film.grid.whole)
        mu = source.notes()["chemical_potential"]
        film.close()
    for number in range(3):
        turned = frames[0] * np.exp(-0.5j * mu * number)
        np.testing.assert_allclose(frames[number], turned, atol=2e-6)


def test_interaction_is_for_the_ground_state_alone() -> None:
    with pytest.raises(InvalidInput, match="only the ground state"):
        eigen(Grid.of((64,)), "harmonic", g=1.0, n=2)
