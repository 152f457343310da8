"""The absorbing edge of the grid: an imaginary potential within `absorb` bohr of both edges of each axis.

It is −iW with

    W = (14 s + 70 s³ + 1756 s¹²)/(m absorb²),   s = 1 − (distance from the edge)/absorb,

in Hartree, 1840/(m absorb²) at the edge, m being the mass in electron masses. The grid is periodic,
so a wave that comes to an edge goes through 2·absorb bohr. The share that is transmitted and
reflected, |t|² + |r|², is a function of k·absorb alone. It is below 1e-3 from 5.5 to 80 (at most
4.1e-4), and 1 % at 4.4, 2 % at 4, 23 % at 2.
The three coefficients minimise its maximum in that range. A `strength` that the user gives is W at
the edge: it changes the last coefficient. Less of it transmits fast waves, as e^(−(4m/k)∫W), much
more of it reflects them.

Source of the method: Riss and Meyer, J. Phys. B 26, 4503 (1993) and, for potentials fitted to a
range of k, J. Chem. Phys. 105, 1409 (1996).
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from ...lattice.grid import AXIS_NAMES, Grid
from ...observables.geometry import coordinates, spacing, spatial_axes
from ...observables.moments import moments
from ...observables.momentum import wave_sums

W_SHAPE: Final = ((1, 14.0), (3, 70.0), (12, 1756.0))
"""Powers of s and their coefficients, for a width of 1 bohr and an electron."""

MIN_K_ABSORB: Final = 5.5
"""The least k·absorb at which all but `MAX_UNABSORBED` is absorbed."""

MAX_UNABSORBED: Final = 1e-3
"""The share that the edges may leave, and the share of a packet outside their range of k without a warning."""


def coefficients(absorb: float, strength: float, mass: float) -> list[tuple[int, float]]:
    """Powers of s with their coefficients in Hartree. `strength` is W at the edge in Hartree, 0 for the best one."""
    # mW is a function of s/absorb² alone, because ψ'' = 2m(V − iW − E)ψ.
    soft, (sharp, most) = W_SHAPE[:-1], W_SHAPE[-1]
    sum_of_soft = sum(value for _, value in soft)
    edge = strength * mass * absorb**2 or sum_of_soft + most
    share = min(1.0, edge / sum_of_soft)
    scaled = [(power, share * value / (mass * absorb**2)) for power, value in soft]
    return [*scaled, (sharp, max(0.0, edge - sum_of_soft) / (mass * absorb**2))]


def absorbed(absorb: float, strength: float, mass: float = 1.0) -> tuple[float, float]:
    """The smallest and the largest wave number in 1/bohr of which all but 1e-3 is absorbed, where the grid holds it.

    At the largest one e^(−(4m/k)∫W), the share that both edges transmit, is half of 1e-3: the other
    half may be reflected.
    """
    through = sum(value * absorb / (power + 1) for power, value in coefficients(absorb, strength, mass))
    return MIN_K_ABSORB / absorb, 4 * mass * through / math.log(2 / MAX_UNABSORBED)


def damping(grid: Grid, absorb: float, strength: float) -> NDArray[np.float64] | None:
    """W in Hartree, of a shape that broadcasts to [x, y, z]; None if nothing is absorbed.

    Raises InvalidInput if both edges together cover a whole axis.
    """
    if not absorb:
        return None
    total = np.zeros((1, 1, 1))
    for own, axis in enumerate(spatial_axes(grid)):
        size, step = grid.shape[axis], spacing(grid, axis)
        if 2 * absorb >= size * step:
            raise InvalidInput(f"absorb={absorb:g} at both edges leaves nothing of {size * step:g} bohr")
        index = np.arange(size)
        s = np.maximum(0.0, 1 - step * np.minimum(index, size - index) / absorb)
        w = np.sum([value * s**power for power, value in coefficients(absorb, strength, grid.mass)], axis=0)
        # w is [n] of this axis: as [n, 1, 1], [1, n, 1] or [1, 1, n] it adds up to [x, y, z].
        total = total + w.reshape([-1 if other == own else 1 for other in range(3)])
    return total


def unabsorbed(psi: NDArray[Any], grid: Grid, absorb: float, strength: float, time: float) -> list[str]:
    """A warning, if waves of the first frame ψ[1, x, y, z] reach the edges and are too slow or too fast for them.

    A wave of wave number k goes k·`time`/m (ħ/Eh) in the run, as if there were no potential. It
    counts if that takes it to an edge from three standard deviations before the middle of the
    packet. The warning names the axis along which the share is largest.
    """
    slowest, fastest = absorbed(absorb, strength, grid.mass)
    time = time / grid.mass
    position = moments(psi, grid)
    shares = []
    for own, axis in enumerate(spatial_axes(grid)):
        k, density = wave_sums(psi, grid, axis)
        weight = density[0] / (density[0].sum() or 1.0)
        x = coordinates(grid, axis, 0, grid.shape[axis])
        mean, spread = float(position.mean[0, own]), 3 * math.sqrt(float(position.variance[0, own]))
        ahead, behind = x[-1] - absorb - mean - spread, mean - spread - x[0] - absorb
        weight = weight * ((k * time >= ahead) & (k > 0) | (-k * time >= behind) & (k < 0))
        slow, fast = (float(weight[beyond].sum()) for beyond in (abs(k) < slowest, abs(k) > fastest))
        order = np.argsort(abs(k))
        least = float(abs(k)[order][np.searchsorted(np.cumsum(weight[order]), MAX_UNABSORBED) % len(k)])
        wide = MIN_K_ABSORB / least if slow > fast and least * (x[-1] - x[0]) > 4 * MIN_K_ABSORB else 0.0
        shares.append((max(slow, fast), "slower" if slow > fast else "faster", AXIS_NAMES[axis], wide))
    share, side, name, wide = max(shares)
    if not share > MAX_UNABSORBED:
        return []
    return [
        f"absorb={absorb:g} takes away all but {MAX_UNABSORBED:g} of waves of {slowest:.3g} to {fastest:.3g} ħ/bohr; "
        f"{100 * share:.3g} % of the initial state may come to the edges along {name} and is {side}"
        + (f": absorb={wide * 1.01:.3g} would do" if wide else "")
    ]
