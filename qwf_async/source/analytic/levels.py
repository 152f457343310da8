"""Superpositions of eigenstates that are products over the axes: ψ = Σ_j c_j Π_a φ_{n_ja}(x_a) e^{−iE_j t}.

As text: `n=1`; `n=1x2x1`, one quantum number an axis; `n=1+2`, equal weights; `n=1:0.6+2:0.8j`,
with coefficients. Terms of the same numbers add up: 1:0.3+1:0.4j has the coefficient 0.3+0.4i.
Or axis by axis, `nx=1+2,ny=1`, which is the product.
"""

from __future__ import annotations

import cmath
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from ...wording import quoted
from ..parameters import AXES, Given, complex_number, number_text, values_of

Numbers = tuple[int, ...]

_PLUS: Final = re.compile(r"(?<![eE])\+")


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelsKind:
    """How quantum numbers of a superposition are read from text. An axis without one has `lowest`."""

    lowest: int
    accepts: str = "quantum numbers such as 1, 1x2x1, 1+2 or 1:0.6+2:0.8j"
    quantity: Given = "number"

    def parse(self, text: str) -> dict[Numbers, complex]:
        terms: dict[Numbers, complex] = {}
        for word in _PLUS.split(text):
            numbers, colon, coefficient = word.partition(":")
            key = tuple(int(n) for n in numbers.split("x"))
            terms[key] = terms.get(key, 0j) + (complex_number(coefficient) if colon else 1)
        return terms

    def join(self, texts: Mapping[int, str]) -> dict[Numbers, complex]:
        product: dict[Numbers, complex] = {(): 1 + 0j}
        for axis in range(1 + max(texts)):
            along = self.parse(texts.get(axis, str(self.lowest)))
            if any(len(numbers) != 1 for numbers in along):
                raise ValueError("one quantum number an axis")
            product = {a + b: c * d for a, c in product.items() for b, d in along.items()}
        return product


Levels = int | Sequence[int] | Mapping[Any, complex]
"""One eigenstate by its quantum number(s) along x, y, z, or a coefficient for each of several.

A mapping's keys are int or tuples of int; Any, because the type of keys is invariant.
"""

WellLevels = Annotated[Levels, LevelsKind(lowest=1)]
OscillatorLevels = Annotated[Levels, LevelsKind(lowest=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Superposition:
    """Terms of quantum numbers (one a dimension) and a coefficient, sorted, not normalised."""

    terms: tuple[tuple[Numbers, complex], ...]

    @classmethod
    def of(cls, levels: Levels, *, lowest: int, limits: Sequence[int]) -> Superposition:
        """The superposition for as many dimensions as there are limits.

        An axis without a number is in its ground state `lowest`. Raises InvalidInput if
        a number is below it or above the axis's limit, if there are more numbers than
        dimensions, or if the coefficients are not finite or all 0.
        """
        coefficients: Mapping[Any, complex] = levels if isinstance(levels, Mapping) else {_numbers(levels): 1}
        terms: dict[Numbers, complex] = {}
        for key, coefficient in coefficients.items():
            numbers = _numbers(key)
            if len(numbers) > len(limits):
                raise InvalidInput(
                    f"n={number_text(numbers)} is too long: the grid has {len(limits)} dimensions"
                )
            numbers += (lowest,) * (len(limits) - len(numbers))
            for axis, n, limit in zip(AXES, numbers, limits, strict=False):
                if not lowest <= n <= limit:
                    raise InvalidInput(f"n = {n} along {axis} must be from {lowest} to {limit} on this grid")
            terms[numbers] = terms.get(numbers, 0j) + complex(coefficient)
        if not all(map(cmath.isfinite, terms.values())) or not any(terms.values()):
            raise InvalidInput("the coefficients of a superposition must be finite and not all 0")
        return cls(terms=tuple(sorted(terms.items(), key=operator.itemgetter(0))))

    def __str__(self) -> str:
        # A complex coefficient becomes a real and an imaginary term, because "+" separates terms.
        parts = [
            (numbers, part)
            for numbers, c in self.terms
            for part in ((complex(c.real), complex(0, c.imag)) if c.real and c.imag else (c,))
        ]
        return "+".join(number_text(n) + ("" if part == 1 else f":{number_text(part)}") for n, part in parts)

    def highest(self, axis: int) -> int:
        """The highest quantum number along an axis (0 is x)."""
        return max(numbers[axis] for numbers, _ in self.terms)

    def bound(self, axis: int, weight: Callable[[int], float]) -> float:
        """An upper bound on a weight of ψ at any time, from the weights of the eigenstates n of one axis.

        By the triangle inequality √weight ≤ Σ_j |c_j| √weight(n_j). For one eigenstate it is the weight itself.
        """
        total = math.sqrt(sum(abs(c) ** 2 for _, c in self.terms))
        roots = (abs(c) / total * math.sqrt(max(0.0, weight(n[axis]))) for n, c in self.terms)
        return min(1.0, sum(roots) ** 2)

    def at(
        self,
        times: NDArray[np.float64],
        energy: Callable[[int, int], float],
        wave: Callable[[int, int], NDArray[np.float64]],
    ) -> NDArray[np.complex128]:
        """ψ[t, x, y, z] at `times` (ħ/Eh), complex128.

        `energy(a, n)` (Hartree) and `wave(a, n)` (float64, one value a point) belong to
        the eigenstate n of axis a, 0 being x. Coefficients are normalised to Σ|c|² = 1.
        """
        c = np.array([c for _, c in self.terms])
        c /= np.abs(c).max()
        c /= np.linalg.norm(c)
        total = np.zeros((1, 1, 1, 1), dtype=np.complex128)
        for (numbers, _), coefficient in zip(self.terms, c, strict=True):
            total_energy = sum(energy(a, n) for a, n in enumerate(numbers))
            x, y, z = [wave(a, n) for a, n in enumerate(numbers)] + [np.ones(1)] * (3 - len(numbers))
            # left is [t, x] and right [y, z]: one product of [t, x, 1, 1] with it makes the term.
            left = (coefficient * np.exp(-1j * total_energy * times))[:, None] * x
            right = np.multiply.outer(y, z).astype(np.complex128)
            term = left[:, :, None, None] * right
            total = np.add(total, term, out=total) if total.shape == term.shape else total + term
        return total


def _numbers(value: Any) -> Numbers:
    try:
        return tuple(operator.index(n) for n in values_of(value))
    except TypeError as error:
        raise InvalidInput(f"quantum numbers are integers, not {quoted(repr(value))}") from error
