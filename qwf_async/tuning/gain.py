"""The gain of one way over another, from pairs of rates that were measured in turn, and where the rates end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

CONFIDENCE: Final = 0.95
LEAST_PAIRS: Final = 6
"""Pairs from which on an interval of 95 % exists: with 5 the widest one has 93.75 %."""

KNEE: Final = 0.05
"""What a stage must add to the rate of the one before, as a share of it."""

Pair = tuple[float, float]
"""Two rates that were measured one after the other: of a candidate, and of the defaults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What a candidate adds to the rate of the defaults, as a share: 0.1 is 10 % more.

    `low` and `high` bound it with 95 % confidence; both are None if there were too few pairs.
    """

    middle: float
    low: float | None = None
    high: float | None = None

    @property
    def is_sure(self) -> bool:
        """Whether it is above 0 in the whole interval."""
        return self.low is not None and self.low > 0


def gain_of(pairs: Iterable[Pair]) -> Gain:
    """The gain by the pairs' ratios: the Hodges-Lehmann estimate, and the interval of the signed-rank test.

    It assumes that the logarithms of the ratios are distributed symmetrically, and nothing else. A pair
    that a disturbance hit counts as one pair, however large its ratio is.
    Source: Hollander and Wolfe, Nonparametric Statistical Methods, sections 3.2 and 3.3.
    """
    logs = [math.log(ours / usual) for ours, usual in pairs]
    means = sorted((a + b) / 2 for n, a in enumerate(logs) for b in logs[n:])  # Walsh averages
    middle = math.expm1(median(means)) if means else 0.0
    if len(logs) < LEAST_PAIRS:
        return Gain(middle=middle)
    cut = _critical(len(logs))
    return Gain(middle=middle, low=math.expm1(means[cut]), high=math.expm1(means[-1 - cut]))


def _critical(count: int) -> int:
    """How many Walsh averages at either end lie outside of the interval.

    It is the largest c with 2 P(W < c) ≤ 5 %, where W is the sum of ranks of the positive differences.
    """
    ways = [1]  # ways to reach each sum with the ranks so far
    for rank in range(1, count + 1):
        ways = [
            (ways[n] if n < len(ways) else 0) + (ways[n - rank] if n >= rank else 0)
            for n in range(len(ways) + rank)
        ]
    outside, cut = 0, 0
    while 2 * (outside + ways[cut]) <= (1 - CONFIDENCE) * 2**count:
        outside += ways[cut]
        cut += 1
    return cut - 1


def knee_of(rates: Sequence[float]) -> int:
    """The number of the last stage, from 0 on, that adds at least 5 % to the rate of the one before it."""
    for number in range(1, len(rates)):
        if not adds(rates[number - 1], rates[number]):
            return number - 1
    return len(rates) - 1


def adds(before: float, rate: float) -> bool:
    """Whether a stage is worth it: its rate is at least 5 % above that of the one before."""
    return rate >= (1 + KNEE) * before
