"""Colours for phases and densities, perceptually uniform: equal steps of the number look equally large.

Both are paths through Oklab, where equal distances are equal differences to the eye.
A phase is a hue at constant lightness and chroma, so no phase looks brighter than
another; a density is a lightness. Source: B. Ottosson, "A perceptual color space for image
processing" (2020), whose matrices and hues these are; the transfer function: IEC 61966-2-1
(sRGB). Phase as hue: Wegert, Visual Complex Functions (2012), section 2.5.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Colours = NDArray[np.uint8]

PHASE_LIGHTNESS: Final = 0.74
PHASE_CHROMA: Final = 0.124
"""The largest chroma at this lightness that sRGB has at every hue."""

PHASE_HUE: Final = 25.0
"""The hue of phase 0 in degrees: red. π/2 is then yellow-green, π cyan and −π/2 violet."""

DENSITIES: Final = (
    (0.13, 0.05, 290.0),
    (0.38, 0.15, 300.0),
    (0.62, 0.17, 20.0),
    (0.82, 0.14, 70.0),
    (0.97, 0.06, 105.0),
)
"""Lightness, chroma and hue of the densities from 0 to the largest: dark violet, red, orange, cream."""

SIGNED_LIGHTNESS: Final = (0.42, 0.97)
SIGNED_CHROMA: Final = 0.12
SIGNED_HUES: Final = (258.0, 45.0)
"""Of numbers of either sign: lightness at the ends and at 0, chroma at the ends, hues below and above 0.

Blue and orange are told apart by those who confuse red and green.
"""

_LMS: Final = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_RGB: Final = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def srgb(lightness: Any, chroma: Any, hue: Any) -> NDArray[np.float64]:
    """sRGB [..., 3] of Oklab lightness (0 to 1), chroma and hue (degrees); within 0 to 1 if sRGB has the colour."""
    angle = np.radians(hue)
    lab = np.stack(np.broadcast_arrays(lightness, chroma * np.cos(angle), chroma * np.sin(angle)), axis=-1)
    linear = (lab @ _LMS.T) ** 3 @ _RGB.T
    encoded: NDArray[np.float64] = np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    )
    return encoded


def phase_table(count: int = 256) -> Colours:
    """Colours of the phases from −π to π, uint8 [count, 3]; the circle closes after the last one."""
    turns = (np.arange(count) + 0.5) / count - 0.5
    return _bytes(srgb(PHASE_LIGHTNESS, PHASE_CHROMA, PHASE_HUE + 360 * turns))


def density_table(count: int = 256) -> Colours:
    """Colours of the densities from 0 to the largest, uint8 [count, 3], of even lightness steps."""
    knots = np.array(DENSITIES)
    light = np.linspace(knots[0, 0], knots[-1, 0], count)
    hue = np.unwrap(knots[:, 2], period=360)
    return _bytes(srgb(light, np.interp(light, knots[:, 0], knots[:, 1]), np.interp(light, knots[:, 0], hue)))


def signed_table(count: int = 256) -> Colours:
    """Colours of the numbers from −largest to largest, uint8 [count, 3]: blue, almost white at 0, orange."""
    numbers = (np.arange(count) + 0.5) / count * 2 - 1
    size = np.abs(numbers)
    light = SIGNED_LIGHTNESS[1] + (SIGNED_LIGHTNESS[0] - SIGNED_LIGHTNESS[1]) * size
    return _bytes(srgb(light, SIGNED_CHROMA * size, np.where(numbers < 0, *SIGNED_HUES)))


def phase_colours(psi: NDArray[Any]) -> Colours:
    """The colour of the phase of each value, uint8 [..., 3]."""
    table = phase_table()
    turns = np.nan_to_num(np.angle(psi)) / (2 * np.pi) + 0.5
    colours: Colours = table[np.floor(turns * len(table)).astype(np.intp) % len(table)]
    return colours


def density_colours(density: NDArray[np.float64], peak: float) -> Colours:
    """The colour of each density, uint8 [..., 3], if `peak` is the largest."""
    table = density_table()
    share = np.nan_to_num(density / peak if peak > 0 else np.zeros_like(density), posinf=1.0)
    return table[np.minimum(np.clip(share, 0, 1) * len(table), len(table) - 1).astype(np.intp)]


def _bytes(colours: NDArray[np.float64]) -> Colours:
    return np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8)
