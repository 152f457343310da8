"""The numbers of plots that are curves: densities along the axes, and expectation values over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marginals:
    """Probability densities along x, y, z of one frame, and the coordinates of their points.

    Lengths are in bohr, along the axes that `in_steps` names in grid steps.
    """

    title: str
    coordinates: tuple[Real, ...]
    densities: tuple[Real, ...]
    in_steps: str

    def unit(self, axis: str) -> str:
        return "grid steps" if axis in self.in_steps else "bohr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """⟨x⟩ and σ of each axis, [frames, d], the norm, [frames], and the times of the frames, [frames].

    Lengths are in bohr, along the axes that `in_steps` names in grid steps.
    """

    name: str
    time_label: str
    times: Real
    mean: Real
    sigma: Real
    norm: Real
    in_steps: str

    def unit(self, axis: str) -> str:
        return "grid steps" if axis in self.in_steps else "bohr"
