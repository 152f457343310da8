"""Products of a few long rows, by matrix products of slabs that fit the cache: [a, N] with [b, N] or [a, b]."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]

SLAB_PRODUCTS: Final = 262_144
"""Multiplications of a slab, at most. OpenBLAS takes so many in one thread, so rounding does not depend on cores.

Several threads would not help: where cores are busy, they wait for each other three times as long.
"""

MIN_SLAB_POINTS: Final = 32


def products(left: Real, right: Real) -> Real:
    """Σ_p left[i, p] right[j, p], [a, b]."""
    total = np.zeros((len(left), len(right)))
    for slab in _slabs(left.shape[1], len(left) * len(right)):
        total += left[:, slab] @ right[:, slab].T
    return total


def combine(rows: Real, coefficients: Real) -> None:
    """Put Σ_i coefficients[i, j] rows[i] into row j of `rows`, in place; other rows are not changed.

    `coefficients` is [a, b] with b ≤ a, for `rows` [a, N].
    """
    count = coefficients.shape[1]
    for slab in _slabs(rows.shape[1], coefficients.size):
        rows[:count, slab] = coefficients.T @ rows[:, slab]


def subtract(rows: Real, others: Real, coefficients: Real) -> None:
    """Subtract Σ_j coefficients[i, j] others[j] from row i, in place."""
    for slab in _slabs(rows.shape[1], coefficients.size):
        rows[:, slab] -= coefficients @ others[:, slab]


def norms(rows: Real) -> Real:
    """√Σ_p rows[i, p]², [a]."""
    return np.array([math.sqrt(np.einsum("p,p->", row, row)) for row in rows])


def _slabs(points: int, products_a_point: int) -> Iterator[slice]:
    size = max(MIN_SLAB_POINTS, SLAB_PRODUCTS // max(1, products_a_point))
    for start in range(0, points, size):
        yield slice(start, start + size)
