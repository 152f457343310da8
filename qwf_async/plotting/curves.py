"""The numbers of plots that are no picture of ψ: curves, fields on a plane, and expectation values over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Numbers `y` at ascending `x`, both [n], with names and units of the axes; `marks` are places with a text."""

    x_label: str
    y_label: str
    x: Real
    y: Real
    marks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Curves beside each other. The axes that `in_steps` names count in grid steps; `note` says more to the user."""

    title: str
    curves: tuple[Curve, ...]
    in_steps: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrows:
    """Arrows at the places `across` × `up`, with both components [across, up], and what they are, with its unit."""

    label: str
    across: Real
    up: Real
    along: tuple[Real, Real]

    @property
    def longest(self) -> float:
        """The length of the longest arrow that is a finite number; 0 if there is none."""
        length = np.hypot(*self.along)
        return float(length.max(initial=0.0, where=np.isfinite(length)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Numbers ≥ 0 on a plane, [across, up], and where its cells begin and end along both; perhaps with arrows.

    `alike` says that both axes have the same unit, so that the plane can be true to scale.
    """

    title: str
    across_label: str
    up_label: str
    across: tuple[float, float]
    up: tuple[float, float]
    values: Real
    label: str
    alike: bool
    in_steps: str
    arrows: Arrows | None = None
    note: str = ""

    @property
    def peak(self) -> float:
        """The largest value that is a finite number; 0 if there is none."""
        return float(self.values.max(initial=0.0, where=np.isfinite(self.values)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """⟨x⟩ and σ of each axis, [frames, d], the norm, [frames], and the times of the frames, [frames].

    `units` has the unit of length of each axis. `in_steps` names the axes that count in grid steps.
    """

    name: str
    time_label: str
    times: Real
    mean: Real
    sigma: Real
    norm: Real
    units: tuple[str, ...]
    in_steps: str
    note: str = ""
