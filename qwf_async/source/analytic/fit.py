"""Whether a grid holds a state, and which box and number of points would.

A grid of N points over the extent L cuts away what lies outside the box, and it cannot tell a
momentum beyond π N/L (two points a wave, the Nyquist limit) from a smaller one: what lies
there becomes another wave. The position and the momentum of a state in closed form are known
without a value of ψ, so both shares are known before anything is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...wording import phrase
from ..parameters import AXES, LARGEST

TOLERATED: Final = 1e-3
"""Share of the norm that may be lost along an axis before the user is told."""

AIM: Final = 1e-4
"""Share that the advised box and grid may lose: less than is tolerated, so that advice ends the warning."""

WIDTHS: Final = 6.0
"""Standard deviations that a default box leaves around a state, and its spacing around its momentum: e^{-18}."""

Tail = Callable[[float], float]
"""What is lost beyond a half edge (bohr) or beyond a wave number (1/bohr): a share from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a state lies along one axis of its grid.

    `outside` is its weight outside the box of the grid, `beyond` that of its momentum beyond
    `nyquist` (1/bohr). `edge` is the extent of the grid (bohr) and `points` their number;
    `needed_edge` is the extent of a box around 0 that holds it, and `fastest` a wave number
    beyond which it has nothing.
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
        """By the weight `outside(low, high)` an interval of bohr, and `beyond` a wave number of both signs."""
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
        """The extent that is there if it does, else one that does, to three digits."""
        return self.edge if self.outside <= TOLERATED else _up(self.needed_edge)

    @property
    def advised_points(self) -> int:
        """The number of points that is there if it does over the advised extent, else an even one that does."""
        if self.advised_edge == self.edge and self.beyond <= TOLERATED:
            return self.points
        needed = math.ceil(self.fastest * self.advised_edge / math.pi)
        return self.points if needed <= self.points else needed + needed % 2


def warning(spec: str, fits: Sequence[Fit]) -> str | None:
    """What is wrong with a grid for the state `spec`, and which would do, in words; None if it holds the state."""
    if all(fit.holds for fit in fits):
        return None
    parts = []
    lost = [fit for fit in fits if fit.outside > TOLERATED]
    if lost:
        share = max(fit.outside for fit in lost)
        parts.append(
            f"up to {_share(share)} of |ψ|² lies outside the box along {_names(lost)}: it is too small"
        )
    folded = [fit for fit in fits if fit.beyond > TOLERATED]
    if folded:
        share = max(fit.beyond for fit in folded)
        nyquist = min(fit.nyquist for fit in folded)
        parts.append(
            f"up to {_share(share)} of the momentum along {_names(folded)} is beyond {nyquist:.4g}/bohr, two points a "
            "wave, and becomes a slower wave: the grid is too coarse"
        )
    return f"the grid does not hold {spec}: {'; '.join(parts)}; {_advice(fits)} would do"


def fitting_edge(points: int, *, reach: float, width: float, momentum: float, spread: float) -> float:
    """Extent of a box around 0 for a state of so many points along an axis, in bohr.

    The state reaches to ±`reach` (bohr) with the standard deviation `width` beyond, and its
    momentum to ±`momentum` (1/bohr) with `spread`. The box leaves WIDTHS of them, or if the
    points do not suffice for that, as many in position as in momentum: the m at which
    2 (reach + m width) (momentum + m spread) = π points. Where that is below 1 the state is cut
    in space and one width is left in momentum: a cut is seen in the norm, aliasing in nothing.
    """
    room = math.pi * points / 2
    if (reach + WIDTHS * width) * (momentum + WIDTHS * spread) <= room:
        return 2 * (reach + WIDTHS * width)
    if (reach + width) * (momentum + spread) > room:
        return 2 * room / (momentum + spread)
    a, b, c = width * spread, reach * spread + momentum * width, reach * momentum - room
    return 2 * (reach + 2 * -c / (b + math.sqrt(b * b - 4 * a * c)) * width)


def normal_tail(mean: Any, deviation: Any, low: float, high: float) -> float:
    """The largest weight outside an interval of several normal distributions, of one deviation or one each."""
    means, deviations = np.atleast_1d(mean), np.atleast_1d(deviation)
    if len(deviations) == 1:  # the outermost two are the worst
        means = np.array([means.min(), means.max()])
    return max(
        0.5 * (math.erfc((high - m) / s / math.sqrt(2)) + math.erfc((m - low) / s / math.sqrt(2)))
        for m, s in np.broadcast(means, deviations)
    )


def cumulated(density: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weight up to each of evenly spaced points, from 0 to 1, by the trapezoidal rule."""
    sums = np.concatenate(([0.0], np.cumsum(density[1:] + density[:-1])))
    weight: NDArray[np.float64] = sums / sums[-1]
    return weight


def _least(tail: Tail, start: float) -> float:
    """The least value beyond which a falling tail has no more than AIM, within 1 %."""
    high = start
    while tail(high) > AIM and high < LARGEST:
        high *= 2
    while tail(high / 2) <= AIM and high > 1 / LARGEST:
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


def _advice(fits: Sequence[Fit]) -> str:
    edges, points = [fit.advised_edge for fit in fits], [fit.advised_points for fit in fits]
    box = "x".join(f"{edge:.6g}" for edge in (edges if len(set(edges)) > 1 else edges[:1]))
    grid = "x".join(map(str, points if len(points) > 1 else [*points, 1]))
    sizes = ", ".join(map(str, points)) + ("," if len(points) == 1 else "")
    lengths = ", ".join(f"{edge:.6g}" for edge in edges) + ("," if len(edges) == 1 else "")
    return phrase(
        command_line=f"--box {box} --grid {grid}", python=f"grid=Grid.of(({sizes}), box=({lengths}))"
    )
