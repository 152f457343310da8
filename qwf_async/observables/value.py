"""Numbers of one value of ψ."""

from __future__ import annotations

import cmath


def of_value(value: complex) -> dict[str, float]:
    """Modulus |ψ|, probability density |ψ|² and phase arg ψ (radians, −π to π) of one value."""
    modulus = abs(value)
    return {"modulus": modulus, "density": modulus**2, "phase": cmath.phase(value)}
