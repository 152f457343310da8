"""Numbers of one value of ψ."""

from __future__ import annotations

import cmath

from ..errors import InvalidInput


def of_value(value: complex) -> dict[str, float]:
    """Modulus |ψ|, probability density |ψ|² and phase arg ψ (radians, −π to π) of one value.

    Raises InvalidInput for what is no number.
    """
    try:
        value = complex(value)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"one value of ψ is a complex number, not of type {type(value).__name__}"
        ) from error
    modulus = abs(value)
    return {"modulus": modulus, "density": modulus**2, "phase": cmath.phase(value)}
