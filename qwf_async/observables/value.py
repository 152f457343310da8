"""Modulus, probability density and phase of one value of ψ."""

from __future__ import annotations

import cmath
import math

from ..errors import InvalidInput


def of_value(value: complex) -> dict[str, float]:
    """Modulus |ψ|, probability density |ψ|² and phase arg ψ (radians, −π to π) of one value.

    A result beyond the largest float is infinite. Raises InvalidInput for a value that is no number.
    """
    try:
        value = complex(value)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"one value of ψ is a complex number, not of type {type(value).__name__}"
        ) from error
    try:
        modulus = abs(value)
        density = modulus**2
    except OverflowError:
        modulus, density = math.hypot(value.real, value.imag), math.inf
    return {"modulus": modulus, "density": density, "phase": cmath.phase(value)}
