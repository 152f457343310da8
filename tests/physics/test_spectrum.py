"""Spectra of states whose energies are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qwf_async import observables
from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Grid
from qwf_async.observables import Line, Spectrum
from qwf_async.observables.spectrum import MAX_LINES
from qwf_async.source import Source, box, gaussian, harmonic


def spectrum_of(source: Source, dt: float) -> Spectrum:
    psi = source.read(source.grid.whole)
    return observables.spectrum(observables.autocorrelation(psi, source.grid), dt)


def pairs(lines: tuple[Line, ...]) -> list[float]:
    return [number for line in lines for number in (line.energy, line.weight)]


@pytest.mark.parametrize(
    ("source", "dt", "wanted"),
    [
        (harmonic({0: 0.6, 1: 0.8}, grid=Grid.of((96,), frames=60, dt=0.3)), 0.3, [0.5, 0.36, 1.5, 0.64]),
        (
            harmonic({0: 0.8, 3: 0.5, 4: 0.33, 9: 0.02}, grid=Grid.of((128,), frames=100, dt=0.2)),
            0.2,
            [0.5, 0.6402, 3.5, 0.2501, 4.5, 0.1089, 9.5, 0.0004],
        ),
        (
            box({1: 1, 2: 1}, grid=Grid.of((128,), frames=120, dt=1.0)),
            1.0,
            [math.pi**2 / 200, 0.5, 4 * math.pi**2 / 200, 0.5],
        ),
    ],
    ids=["oscillator", "weak lines", "box"],
)
def test_the_lines_of_a_superposition_are_its_energies_and_weights(
    source: Source, dt: float, wanted: list[float]
) -> None:
    found = spectrum_of(source, dt)
    assert pairs(found.lines) == pytest.approx(wanted, rel=2e-3, abs=1e-9)
    assert pairs(found.lines)[::2] == pytest.approx(wanted[::2], rel=1e-9)
    assert sum(line.weight for line in found.lines) == pytest.approx(1)
    assert found.in_lines == pytest.approx(1, abs=1e-12)
    assert found.resolution == pytest.approx(2 * math.pi / (dt * source.grid.shape[0]))
    assert found.limit == pytest.approx(math.pi / dt)
    step = found.energies[1] - found.energies[0]
    assert found.density.sum() * step == pytest.approx(1)
    assert found.density.min() > -1e-4 * found.density.max()


def test_a_line_has_the_height_and_the_width_that_are_stated() -> None:
    found = observables.spectrum(np.exp(-0.7j * np.arange(0, 40, 0.1)), 0.1)
    assert pairs(found.lines) == pytest.approx([0.7, 1])
    assert found.density.max() == pytest.approx(0.35875 * 40 / math.pi, rel=5e-3)
    above = found.energies[found.density > found.density.max() / 2]
    assert np.ptp(above) / found.resolution == pytest.approx(1.36, abs=0.13)


def test_many_lines_that_are_resolved_are_found_together() -> None:
    chance = np.random.default_rng(3)
    energies = -1.5 + 0.1 * np.arange(30) + chance.uniform(-0.02, 0.02, 30)
    weights = chance.uniform(0.5, 1, 30)
    weights[12:] *= 1e-6  # too low to be listed
    waves = np.exp(-1j * np.outer(np.arange(400), energies))
    found = observables.spectrum(waves @ weights, 1.0)
    assert [line.energy for line in found.lines] == pytest.approx(energies[:12], abs=1e-6)
    assert len(observables.spectrum(waves.sum(axis=1), 1.0).lines) == MAX_LINES


def test_energies_beyond_the_limit_appear_shifted_and_a_continuum_is_no_line() -> None:
    beyond = observables.spectrum(np.exp(-1j * 4.0 * np.arange(50)), 1.0)
    assert beyond.lines[0].energy == pytest.approx(4 - 2 * math.pi)
    packet = spectrum_of(gaussian(k=2, grid=Grid.of((256,), box=(100.0,), frames=100, dt=0.1)), 0.1)
    assert packet.in_lines < 0.7
    mean = (packet.energies * packet.density).sum() * (packet.energies[1] - packet.energies[0])
    assert mean == pytest.approx(2.125, rel=1e-3)


def test_what_is_no_correlation_is_refused() -> None:
    for values, dt in ((np.ones(7), 1.0), (np.ones((9, 9)), 1.0), (np.ones(9), 0.0), (np.zeros(9), 1.0)):
        with pytest.raises(InvalidInput):
            observables.spectrum(values, dt)
    with pytest.raises(InvalidInput, match="must be finite"):
        observables.spectrum([1.0] * 8 + [math.nan], 1.0)
