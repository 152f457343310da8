"""The spectrum of a state: which energies it consists of, from ⟨ψ(0)|ψ(t)⟩."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checked import checked
from ..errors import InvalidInput

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

WINDOW: Final = "Blackman-Harris"
_COSINES: Final = (0.35875, 0.48829, 0.14128, 0.01168)
"""Coefficients of the window, whose side lobes stay below 2.5e-5 of a line. Source: Harris (1978), table I."""

MIN_FRAMES: Final = 8
OVERSAMPLING: Final = 8
"""Points of the curve in a resolution."""

MIN_LINE: Final = 1e-4
"""Height of the lowest line that is listed, as a share of the highest: four times the side lobes of the window."""

MAX_LINES: Final = 24
"""Lines that are listed: the highest. They are fitted together, which takes memory of 4·frames·lines numbers."""

FIT_STEPS: Final = 20
CONVERGED: Final = 1e-10
"""Change of the energies, in resolutions, after which the fit ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a spectrum: its energy in Eh, and its share of the state, |⟨E|ψ⟩|²."""

    energy: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """The spectrum of a state.

    `density` is the share of the state by energy in 1/Eh, [m], at the `energies` in Eh, [m], ascending
    and even. Its integral is 1. `lines` are its maxima in the order of energy. `resolution` is 2π/T
    and `limit` π/dt, both in Eh. `in_lines` is the share of ⟨ψ(0)|ψ(t)⟩, as Σ|·|² over the
    window, that the lines describe: 1 if the spectrum has no continuum and no unresolved lines.
    """

    energies: Real
    density: Real
    lines: tuple[Line, ...]
    resolution: float
    limit: float
    in_lines: float


@checked
def spectrum(correlation: ArrayLike, dt: float) -> Spectrum:
    """The spectrum from ⟨ψ(0)|ψ(t)⟩ at t = 0, dt, 2dt, …, complex [t], as `autocorrelation` gives it; dt in ħ/Eh.

    For a potential that does not depend on time it is Σ|⟨E|ψ⟩|² δ(E' − E), widened. Energies from
    −π/dt to π/dt are told apart: others appear there, shifted by a multiple of 2π/dt. The
    integral over t goes from −T to T, with T = n·dt of n frames and ⟨ψ(0)|ψ(−t)⟩ as the complex
    conjugate, times a Blackman–Harris window. It gives each line the height weight·0.36T/π and the
    full width at half maximum 1.36·2π/T; lines nearer than that are seen as one.

    Lines begin as maxima of the curve. Their energies and weights are then fitted together, by least
    squares under the window, so that they do not disturb each other: lines that are
    resolved are exact up to rounding if there is nothing else. A continuum has maxima too, and
    `in_lines` tells. Source: Heller, Acc. Chem. Res. 14, 368 (1981); Feit, Fleck and Steiger,
    J. Comput. Phys. 47, 412 (1982); Harris, Proc. IEEE 66, 51 (1978).
    Raises InvalidInput for fewer than 8 frames, for values that are not finite or begin with 0, and a dt of 0 or less.
    """
    values = np.asarray(correlation, np.complex128)
    if values.ndim != 1 or len(values) < MIN_FRAMES:
        raise InvalidInput(f"a spectrum needs {MIN_FRAMES} frames or more, not {values.shape}")
    if not (math.isfinite(dt) and dt > 0):
        raise InvalidInput(f"the time step {dt} must be a finite number above 0")
    if not (np.isfinite(values).all() and abs(values[0]) > 0):
        raise InvalidInput("⟨ψ(0)|ψ(t)⟩ must be finite, and not 0 at first")
    values = values / abs(values[0])
    count = len(values)
    angles = math.pi * np.arange(count) / count  # a half of the window, from its middle on
    window = np.stack([a * np.cos(m * angles) for m, a in enumerate(_COSINES)]).sum(axis=0)
    resolution = 2 * math.pi / (count * dt)

    size = 1 << (OVERSAMPLING * count - 1).bit_length()
    both = np.zeros(size, np.complex128)  # t = 0, dt, … and from the end −dt, −2dt, …
    both[:count] = window * values
    both[-1:-count:-1] = both[1:count].conj()
    # ∫ c(t) exp(iEt) dt / 2π: exp(+i…) is the backward transform, without its 1/size.
    density = np.fft.fftshift(np.fft.ifft(both).real) * (size * dt / (2 * math.pi))
    energies = np.fft.fftshift(np.fft.fftfreq(size, dt)) * (2 * math.pi)

    starts = energies[_highest(density)]
    fitted, weights, in_lines = _fitted(values, window, starts * dt, resolution * dt)
    lines = sorted(zip((fitted / dt).tolist(), weights.tolist(), strict=True))
    return Spectrum(
        energies=energies,
        density=density,
        lines=tuple(Line(energy=energy, weight=weight) for energy, weight in lines),
        resolution=resolution,
        limit=math.pi / dt,
        in_lines=in_lines,
    )


def _highest(density: Real) -> NDArray[np.intp]:
    """The indices of the highest maxima. The curve is a period: its ends are neighbours."""
    before, after = np.roll(density, 1), np.roll(density, -1)
    (peaks,) = np.nonzero((density > before) & (density >= after) & (density > MIN_LINE * density.max()))
    return peaks[np.argsort(density[peaks])[::-1][:MAX_LINES]]


def _fitted(values: Complex, window: Real, starts: Real, reach: float) -> tuple[Real, Real, float]:
    """Energies and weights of Σ weight·exp(−i·energy·n) nearest to `values` under the window, and the share described.

    Energies are times dt, and stay within `reach` of where they start. By Gauss and Newton.
    """
    numbers, energies = np.arange(len(values)), starts.copy()
    wanted = _real(window * values)
    for step in range(FIT_STEPS + 1):
        waves = window[:, None] * np.exp(-1j * np.outer(numbers, energies))  # [t, lines]
        weights = _least_squares(_real(waves), wanted)
        rest = wanted - _real(waves) @ weights
        if step == FIT_STEPS:
            break
        slopes = -1j * reach * numbers[:, None] * waves * weights
        both = _least_squares(np.hstack((_real(slopes), _real(waves))), rest)
        moved = np.clip(energies + reach * both[: len(energies)], starts - reach, starts + reach)
        change, energies = np.abs(moved - energies).max(initial=0.0), moved
        if change <= CONVERGED * reach:
            break
    return energies, weights, float(1 - (rest @ rest) / (wanted @ wanted))


def _least_squares(matrix: Real, wanted: Real) -> Real:
    """The solution by the normal equations: there are many frames, and few lines. Where several fit, the smallest."""
    return np.linalg.lstsq(matrix.T @ matrix, matrix.T @ wanted)[0].astype(np.float64, copy=False)


def _real(values: Complex) -> Real:
    """Real parts above imaginary parts, [2·t, …]: real unknowns are fitted to both."""
    return np.concatenate((values.real, values.imag))
