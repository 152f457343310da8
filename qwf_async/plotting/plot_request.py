"""The options of `qwf plot` as one request, free of contradictions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, cast, get_args

from ..errors import UsageError
from ..lattice.grid import Grid
from ..lattice.position import read_coordinates

ANIMATIONS: Final = (".gif", ".mp4")
SUFFIXES: Final = (".png", ".svg", *ANIMATIONS)
"""Suffixes of the files that can be written."""

PlotKind = Literal["density", "phase", "marginals", "expectations", "animation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotRequest:
    """The plot that is wanted; `kind` None means density and phase.

    `frame` None means all frames. `fixed`: axis (1, 2, 3 are x, y, z) → index of the cut, None
    for the middle. `at`: axis → coordinate of the cut; of axis 0 it is the time of the frame.
    """

    kind: PlotKind | None
    frame: int | None
    fixed: Mapping[int, int | None]
    at: Mapping[int, float] = field(default_factory=dict)
    out: Path | None

    @property
    def is_animation(self) -> bool:
        return self.out is not None and self.out.suffix.lower() in ANIMATIONS

    @property
    def quantities(self) -> tuple[str, ...]:
        """Density, phase, or both."""
        return (self.kind,) if self.kind in ("density", "phase") else ("density", "phase")

    def on(self, grid: Grid, nearest: Mapping[int, int]) -> PlotRequest:
        """The same with the points of a grid that are nearest to `at`; a frame below 0 counts from the end."""
        count, frame = grid.shape[0], nearest.get(0, self.frame)
        if frame is not None and -count <= frame < 0:
            frame += count
        fixed = {axis: index for axis, index in nearest.items() if axis != 0}
        return replace(self, frame=frame, fixed={**self.fixed, **fixed}, at={})


def read_plot_request(
    kind: str | None,
    *,
    frame: int | None,
    all_frames: bool,
    cut: str | None,
    axis: str | None,
    at: str | None,
    out: Path | None,
) -> PlotRequest:
    """The options of the command as one request; `cut` is the text of --slice, `at` that of --at.

    Raises UsageError for values that do not exist, and for options that contradict each other.
    """
    suffix = "" if out is None else out.suffix.lower()
    if out is not None and suffix not in SUFFIXES:
        raise UsageError(f"{out} is written as its suffix says: {', '.join(SUFFIXES)}")
    if kind is not None and kind not in get_args(PlotKind):
        raise UsageError(f"--what {kind!r} is none of {', '.join(get_args(PlotKind))}")
    animation, curves = suffix in ANIMATIONS, kind in ("marginals", "expectations")
    if kind == "animation" and not animation:
        raise UsageError("an animation is written to a file: -o FILE.gif or -o FILE.mp4")
    if animation and curves:
        raise UsageError(f"--what {kind} is no animation: write a .png or .svg")
    if frame is not None and (all_frames or animation or kind == "expectations"):
        raise UsageError("--frame names one frame, and all are to be shown: leave it out")
    if all_frames and kind == "marginals":
        raise UsageError("--what marginals shows one frame: give --frame instead of --all")
    coordinates = {} if at is None else read_coordinates(at)
    if 0 in coordinates and (frame is not None or all_frames or animation or kind == "expectations"):
        raise UsageError("t= of --at names one frame: give it without --frame, --all and an animation")
    if (cut or axis or coordinates.keys() - {0}) and curves:
        raise UsageError(f"--what {kind} is of all points: there is no --slice or --axis, and no --at but t=")
    if sum(map(bool, (cut, axis, coordinates.keys() - {0}))) > 1:
        raise UsageError(
            "--axis cuts in the middle, --slice at an index, --at at a coordinate: give one of them"
        )
    if axis is not None and axis not in ("x", "y", "z"):
        raise UsageError(f"--axis {axis!r} is no axis: x, y or z")
    fixed: dict[int, int | None] = {}
    for word in filter(None, (cut or "").split(",")):
        match = re.fullmatch(r"\s*([xyz])\s*=\s*([+-]?[0-9]{1,18})\s*", word)
        if match is None or "xyz".index(match[1]) + 1 in fixed:
            raise UsageError(f"--slice {cut!r} cannot be read: write z=64, or y=3,z=64, with each axis once")
        fixed["xyz".index(match[1]) + 1] = int(match[2])
    if axis is not None:
        fixed["xyz".index(axis) + 1] = None
    one_frame = None if all_frames or animation or kind == "expectations" else frame or 0
    return PlotRequest(
        kind=cast("PlotKind | None", kind), frame=one_frame, fixed=fixed, at=coordinates, out=out
    )
