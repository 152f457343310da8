"""The Gross–Pitaevskii equation: solitons, the Thomas–Fermi limit, collapse; and the mass of the particle."""

from __future__ import annotations

import math
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Grid
from qwf_async.source import Source, array, coherent, evolve, gaussian, open_source
from qwf_async.source.analytic.formula import Analytic
from qwf_async.source.evolve.absorbing import absorbed

Complex = NDArray[np.complex128]
EDGE, POINTS = 40.0, 384
LINE = Grid.of((POINTS,), box=(EDGE,))


def film_of(source: Source) -> Complex:
    with closing(source):
        return np.asarray(source.read(source.grid.whole))


def state(psi: Any, grid: Grid = LINE) -> Source:
    return array(np.asarray(psi, complex).reshape(grid.shape), grid)


def soliton(t: float, *, mass: float, periods: int) -> Complex:
    """The bright soliton of Zakharov and Shabat, a sech(a(x − vt)), of norm 1 for g = −2/m, in a periodic box."""
    x = LINE.coordinates(1, 0, POINTS)
    k = 2 * math.pi * periods / EDGE
    shifted = (x - k / mass * t + EDGE / 2) % EDGE - EDGE / 2
    return np.asarray(np.exp(1j * (k * x + (1 - k * k) * t / (2 * mass))) / np.cosh(shifted) / math.sqrt(2))


@pytest.mark.parametrize(("mass", "periods"), [(1.0, 0), (1.0, 8), (2.5, -11)])
def test_a_soliton_keeps_its_shape_and_its_speed(mass: float, periods: int) -> None:
    source = evolve(
        state(soliton(0, mass=mass, periods=periods)),
        frames=4,
        dt=2.0 * mass,
        steps=250,
        g=-2 / mass,
        mass=mass,
    )
    film = film_of(source)[:, :, 0, 0]
    for number, found in enumerate(film):
        exact = soliton(2.0 * mass * number, mass=mass, periods=periods)
        assert np.abs(np.abs(found) - np.abs(exact)).max() < 2e-5
        assert np.abs(found - exact).max() < 2e-4
    notes = source.notes()
    k = 2 * math.pi * periods / EDGE
    assert notes["energy_first"] == pytest.approx((k * k / 2 - 1 / 6) / mass, rel=1e-9)  # ⟨T⟩ + ⟨g|ψ|²⟩/2
    assert notes["energy_drift"] < 1e-8
    assert notes["norm_drift"] < 1e-12
    assert 2e-4 / 4 < notes["error_estimate"] < 2e-3


@pytest.mark.parametrize("g", [-3.0, 5.0])
@pytest.mark.parametrize("absorb", [0.0, 4.0])
def test_steps_are_of_second_order_with_interaction_and_absorbing_edges(g: float, absorb: float) -> None:
    grid = Grid.of((64,), box=(16.0,), frames=2, dt=1.0)
    packet = gaussian(k=2, sigma=1, x0=2, grid=grid)
    *coarser, exact = (
        film_of(evolve(packet, "coulomb:soft=2", steps=steps, g=g, absorb=absorb))[1]
        for steps in (40, 80, 160, 1280)
    )
    errors = [float(np.linalg.norm(found - exact)) for found in coarser]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.15)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.08)


def test_without_steps_the_accuracy_holds_for_an_interaction() -> None:
    found = film_of(evolve(state(soliton(0, mass=1, periods=8)), frames=2, dt=6.0, g=-2, accuracy=1e-4))
    error = np.linalg.norm(found[1, :, 0, 0] - soliton(6.0, mass=1, periods=8)) * math.sqrt(EDGE / POINTS)
    assert error < 1e-4


def test_where_an_early_error_grows_the_run_is_done_again_in_shorter_steps() -> None:
    grid = Grid.of((48,), box=(20.0,))
    still = 1 / np.cosh(grid.coordinates(1, 0, 48)) / math.sqrt(2)
    with closing(evolve(state(still, grid), frames=21, dt=4.0, g=-2, accuracy=3e-3)) as source:
        film = source.read(source.grid.whole)[:, :, 0, 0]
        assert np.array_equal(source.read(source.grid.whole)[:, :, 0, 0], film)
    exact = np.exp(2j * np.arange(21))[:, None] * still
    assert (np.linalg.norm(film - exact, axis=1) < 3e-3 * np.linalg.norm(still)).all()
    assert source.notes()["error_estimate"] < 3e-3


def test_a_repulsive_ground_state_is_that_of_thomas_and_fermi_and_stays() -> None:
    g, grid = 100.0, Grid.of((128,), box=(20.0,))
    x, k = grid.coordinates(1, 0, 128), 2 * np.pi * np.fft.fftfreq(128, 20 / 128)
    mu = (3 * g / (4 * math.sqrt(2))) ** (2 / 3)  # of Thomas and Fermi, in one dimension with ω = 1
    kinetic = np.fft.ifft(np.fft.fft(np.eye(128)) * (k * k / 2)).real
    phi = np.sqrt(np.maximum(0, mu - x * x / 2) / g)
    for _ in range(12):  # Newton's method for the stationary equation, without any propagation
        rest = kinetic @ phi + (x * x / 2 + g * phi**2 - mu) * phi
        phi = phi - np.linalg.solve(kinetic + np.diag(x * x / 2 + 3 * g * phi**2 - mu), rest)
    assert (phi**2).sum() * 20 / 128 == pytest.approx(1, rel=2e-3)
    source = evolve(state(phi, grid), "harmonic", frames=2, dt=0.5, g=g)
    film = film_of(source)
    assert np.abs(np.abs(film[1, :, 0, 0]) - phi).max() < 1e-4 * phi.max()
    turned = float(np.angle(np.vdot(film[0], film[1])))
    assert math.remainder(turned + mu / 2, 2 * math.pi) == pytest.approx(0, abs=2e-3)
    assert source.notes()["energy_first"] == pytest.approx(0.6 * mu, rel=5e-3)  # 3μ/5 in one dimension
    assert source.notes()["energy_drift"] < 1e-4


def test_a_trapped_gas_in_two_dimensions_breathes_at_twice_the_frequency_of_the_trap() -> None:
    # Exact for any g, as ⟨r²⟩'' = 4E − 4ω²⟨r²⟩: Pitaevskii and Rosch, Phys. Rev. A 55, R853 (1997).
    grid = Grid.of((48, 48), box=(16.0, 16.0), frames=3, dt=math.pi / 2)
    source = evolve(gaussian(sigma=0.8, grid=grid), "harmonic", g=6, accuracy=1e-4)
    film = film_of(source)
    x = grid.coordinates(1, 0, 48)[:, None, None]
    square = (np.abs(film) ** 2 * (x**2 + x.reshape(1, -1, 1) ** 2)).sum(axis=(1, 2, 3)) * (16 / 48) ** 2
    energy = (
        2 / (8 * 0.8**2) + 0.8**2 + 6 / (8 * math.pi * 0.8**2)
    )  # kinetic, in the trap, of the interaction
    assert source.notes()["energy_first"] == pytest.approx(energy, rel=1e-6)
    assert square == pytest.approx([2 * 0.8**2, 2 * energy - 2 * 0.8**2, 2 * 0.8**2], rel=1e-3)


def test_a_soliton_too_narrow_for_the_grid_is_refused() -> None:
    narrow = state(np.sqrt(5.0) / np.cosh(10 * LINE.coordinates(1, 0, POINTS)))
    film_of(evolve(narrow, g=-20, frames=2, dt=0.01))
    with closing(evolve(narrow, g=-100, frames=2, dt=0.5)) as source:
        assert "the grid holds the waves of" in " ".join(source.warnings())
        with pytest.raises(InvalidInput, match="ψ becomes too narrow for the grid at t = 0"):
            source.read(source.grid.whole)


def test_a_collapse_in_three_dimensions_is_said_and_not_stored() -> None:
    grid = Grid.of((32, 32, 32), box=(10.0,) * 3, frames=3, dt=0.5)
    source = evolve(
        gaussian(sigma=1, grid=grid), g=-100
    )  # far beyond T = 3/8σ²: it shrinks from the beginning
    with closing(source), pytest.raises(InvalidInput, match=r"ψ collapses at t = 0\.\d+ ħ/Eh"):
        source.read(grid.whole)
    with closing(evolve(gaussian(sigma=1, grid=grid), g=-2)) as weak:
        assert np.isfinite(weak.read(grid.whole)).all()
        assert weak.warnings() == []


def test_an_interaction_too_strong_for_the_grid_is_warned_of() -> None:
    with closing(evolve(state(soliton(0, mass=1, periods=0)), frames=2, dt=0.1, g=1e4)) as source:
        assert "the grid holds the waves of an interaction up to" in " ".join(source.warnings())


@pytest.mark.parametrize("mass", [0.067, 3.0])
def test_a_packet_of_another_mass_is_the_exact_one(mass: float) -> None:
    grid = Grid.of((256,), box=(60.0,), frames=3, dt=2.0 * mass)
    exact = gaussian(k=1.5, sigma=1.5, x0=-4, mass=mass, grid=grid)
    assert np.abs(film_of(evolve(exact, steps=1)) - exact.read(grid.whole)).max() < 1e-6
    swing = coherent(alpha=1 + 1j, omega=0.5, mass=mass, grid=Grid.of((96,), frames=4))
    found = film_of(evolve(swing, "harmonic:omega=0.5", steps=200))
    assert np.abs(found - swing.read(swing.grid.whole)).max() < 1e-4


def test_edges_absorb_the_same_waves_for_any_mass() -> None:
    assert absorbed(5.0, 0.0, 7.0) == pytest.approx(absorbed(5.0, 0.0))
    left = []
    for mass in (1.0, 7.0):
        grid = Grid.of((512,), box=(80.0,), frames=2, dt=40.0 * mass)
        packet = gaussian(k=2, sigma=2, x0=10, mass=mass, grid=grid)
        left.append(float(np.abs(film_of(evolve(packet, absorb=8, steps=800))[1]).max()))
    assert left[0] == pytest.approx(left[1], rel=1e-6)
    assert left[0] < 0.02


TEXTS = [
    "evolve:g=-3,k=2",
    "evolve:mass=0.067,potential=harmonic,omega=2,initial=coherent,alpha=1",
    "evolve:mass=2,initial.mass=1,g=5",
    "evolve:mass=2,initial=hydrogen,n=2",
]


@pytest.mark.parametrize("text", TEXTS)
def test_spec_and_fingerprint_have_interaction_and_mass(text: str) -> None:
    options: dict[str, Any] = {"grid": "16", "frames": 2, "dt": 0.05}
    with (
        closing(open_source(text, **options)) as source,
        closing(open_source(source.spec, **options)) as again,
        closing(open_source(text.replace("2", "3"), **options)) as other,
    ):
        assert again == source
        assert again.fingerprint() == source.fingerprint() != other.fingerprint()
        initial = getattr(source, "initial")  # noqa: B009 # of this source alone
        assert isinstance(initial, Analytic)
        assert initial.grid.mass == (1 if "initial.mass" in text else source.grid.mass)
