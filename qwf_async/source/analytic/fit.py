"""Whether a grid holds a state, and which box and number of points would.

A grid of N points over the extent L cuts off the part of ψ outside the box. It also cannot tell
a momentum beyond π N/L (two points a wave, the Nyquist limit) from a smaller one: the part beyond
becomes another wave. The position and the momentum of a state in closed form are known without
a value of ψ, so both shares are known before anything is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...lattice.unit_system import UnitSystem
from ...wording import phrase
from ..parameters import AXES, MAX_MAGNITUDE

TOLERATED: Final = 1e-3
"""Share of the norm that may be lost along an axis before the user is told."""

AIM: Final = 1e-4
"""Share that the advised box and grid may lose: less than TOLERATED, so that they end the warning."""

WIDTHS: Final = 6.0
"""Standard deviations of position and of momentum for which a default grid has room: e^{-18} is beyond."""

Tail = Callable[[float], float]
"""The share from 0 to 1 that is lost beyond a half edge (bohr) or beyond a wave number (1/bohr)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How well the grid holds a state along one axis.

    `outside` is the weight of the state outside the box of the grid, `beyond` that of its momentum
    beyond `nyquist` (1/bohr). The grid has the extent `edge` (bohr) and `points` points.
    `needed_edge` is the extent of a box around 0 that holds all but AIM of the state, and
    `fastest` a wave number beyond which there is no more than AIM.
    """

    axis: int
    outside: float
    beyond: float
    nyquist: float
    edge: float
    points: int
    needed_edge: float
    fastest: float

    @classmethod
    def of(
        cls, axis: int, *, start: float, step: float, points: int, outside: Callable[..., float], beyond: Tail
    ) -> Fit:
        """The fit by the weight `outside(low, high)` an interval in bohr, and `beyond(k)` in momentum."""
        edge, nyquist = step * points, math.pi / step
        return cls(
            axis=axis,
            outside=outside(start, start + edge),
            beyond=beyond(nyquist),
            nyquist=nyquist,
            edge=edge,
            points=points,
            needed_edge=2 * _least(lambda half: outside(-half, half), edge / 2),
            fastest=_least(beyond, nyquist),
        )

    @property
    def holds(self) -> bool:
        """Whether the grid holds the state along this axis."""
        return max(self.outside, self.beyond) <= TOLERATED

    @property
    def advised_edge(self) -> float:
        """The extent of the grid if it is large enough, else one that is, to three digits."""
        return self.edge if self.outside <= TOLERATED else _up(self.needed_edge)

    @property
    def advised_points(self) -> int:
        """The number of points of the grid if it suffices over the advised extent, else an even one that does."""
        if self.advised_edge == self.edge and self.beyond <= TOLERATED:
            return self.points
        needed = math.ceil(self.fastest * self.advised_edge / math.pi)
        return self.points if needed <= self.points else needed + needed % 2


def warning(spec: str, fits: Sequence[Fit], units: UnitSystem) -> str | None:
    """The warning that a grid does not hold the state `spec`, with one that does; None if it holds it."""
    if all(fit.holds for fit in fits):
        return None
    parts = []
    too_small = [fit for fit in fits if fit.outside > TOLERATED]
    if too_small:
        share = max(fit.outside for fit in too_small)
        parts.append(
            f"up to {_share(share)} of |ψ|² lies outside the box along {_names(too_small)}: it is too small"
        )
    too_coarse = [fit for fit in fits if fit.beyond > TOLERATED]
    if too_coarse:
        share = max(fit.beyond for fit in too_coarse)
        nyquist = min(fit.nyquist for fit in too_coarse)
        parts.append(
            f"up to {_share(share)} of the momentum along {_names(too_coarse)} is beyond "
            f"{nyquist * units.in_bohr:.4g}/{units.length}, "
            "two points a wave, and becomes a slower wave: the grid is too coarse"
        )
    return f"the grid does not hold {spec}: {'; '.join(parts)}; {_advice(fits, units)} would do"


def fitting_edge(points: int, *, reach: float, width: float, momentum: float, spread: float) -> float:
    """Extent of a box around 0 for a state of so many points along an axis, in bohr.

    The state reaches to ±`reach` (bohr) with the standard deviation `width` beyond, and its
    momentum to ±`momentum` (1/bohr) with the standard deviation `spread` beyond. The box leaves
    room for WIDTHS deviations of both. If there are too few points for that, it leaves room for m
    deviations of both, where 2 (reach + m width) (momentum + m spread) = π points. Where m is below
    1 the state is cut in space, and one deviation is left in momentum: a cut shows in the norm,
    aliasing shows nowhere.
    """
    room = math.pi * points / 2
    if (reach + WIDTHS * width) * (momentum + WIDTHS * spread) <= room:
        return 2 * (reach + WIDTHS * width)
    if (reach + width) * (momentum + spread) > room:
        return 2 * room / (momentum + spread)
    a, b, c = width * spread, reach * spread + momentum * width, reach * momentum - room
    return 2 * (reach + 2 * -c / (b + math.sqrt(b * b - 4 * a * c)) * width)


def normal_tail(mean: Any, deviation: Any, low: float, high: float) -> float:
    """The largest weight outside an interval among normal distributions, with one deviation or one for each mean."""
    means, deviations = np.atleast_1d(mean), np.atleast_1d(deviation)
    if len(deviations) == 1:  # the two outermost means have the most outside
        means = np.array([means.min(), means.max()])
    return max(
        0.5 * (math.erfc((high - m) / s / math.sqrt(2)) + math.erfc((m - low) / s / math.sqrt(2)))
        for m, s in np.broadcast(means, deviations)
    )


def cumulated(density: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share from 0 to 1 of a density up to each of its evenly spaced points, by the trapezoidal rule."""
    sums = np.concatenate(([0.0], np.cumsum(density[1:] + density[:-1])))
    weight: NDArray[np.float64] = sums / sums[-1]
    return weight


def _least(tail: Tail, start: float) -> float:
    """The smallest value, within 1 %, beyond which a falling tail has no more than AIM."""
    high = start
    while tail(high) > AIM and high < MAX_MAGNITUDE:
        high *= 2
    while tail(high / 2) <= AIM and high > 1 / MAX_MAGNITUDE:
        high /= 2
    low = high / 2
    while high > 1.01 * low:
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle) > AIM else (low, middle)
    return high


def _up(number: float) -> float:
    """Rounded up to three digits."""
    unit = 10.0 ** (math.floor(math.log10(number)) - 2)
    return float(f"{math.ceil(number / unit) * unit:.6g}")


def _share(share: float) -> str:
    return f"{100 * share:.3g} %"


def _names(fits: Sequence[Fit]) -> str:
    return ", ".join(AXES[fit.axis] for fit in fits)


def _advice(fits: Sequence[Fit], units: UnitSystem) -> str:
    edges, points = [fit.advised_edge / units.in_bohr for fit in fits], [fit.advised_points for fit in fits]
    box = "x".join(f"{edge:.6g}" for edge in (edges if len(set(edges)) > 1 else edges[:1]))
    grid = "x".join(map(str, points if len(points) > 1 else [*points, 1]))
    sizes = ", ".join(map(str, points)) + ("," if len(points) == 1 else "")
    lengths = ", ".join(f"{edge:.6g}" for edge in edges) + ("," if len(edges) == 1 else "")
    return phrase(
        command_line=f"--box {box} --grid {grid}", python=f"grid=Grid.of(({sizes}), box=({lengths}))"
    )
