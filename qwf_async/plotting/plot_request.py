"""The options of `qwf plot` as one request, free of contradictions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ..errors import UsageError
from ..lattice.grid import Grid
from ..lattice.position import read_coordinates
from ..wording import flag, option, phrase, quoted
from .kinds import KINDS, PICTURE

ANIMATIONS: Final = (".gif", ".mp4")
SUFFIXES: Final = (".png", ".svg", *ANIMATIONS)
"""Suffixes of the files that can be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotRequest:
    """The plot that is wanted; `kind` is one of KINDS, or None for density and phase.

    `frame` None means all frames. `fixed`: axis (1, 2, 3 are x, y, z) → index of the cut, None
    for the middle. `at`: axis → coordinate of the cut; of axis 0 it is the time of the frame.
    """

    kind: str | None
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
    if kind is not None and kind not in KINDS:
        raise UsageError(f"{option('what')} {quoted(kind)} is none of {', '.join(KINDS)}")
    asked = PICTURE if kind is None else KINDS[kind]
    what, animation = option("what", kind), suffix in ANIMATIONS
    if kind == "animation" and not animation:
        raise UsageError(
            phrase(
                command_line="an animation is written to a file: -o FILE.gif or -o FILE.mp4",
                python="a figure is no animation: write_animation of qwf_async.plotting makes one",
            )
        )
    if animation and (asked.frames == "one" or asked.cut != "index"):
        raise UsageError(f"{what} is no animation: write a .png or .svg")
    every = all_frames or animation or asked.frames == "all"
    if frame is not None and every:
        raise UsageError(f"{option('frame')} names one frame, and all are to be shown: leave it out")
    if all_frames and asked.frames == "one":
        raise UsageError(f"{what} shows one frame: give {option('frame')} instead of {flag('all')}")
    coordinates = {} if at is None else read_coordinates(at)
    if 0 in coordinates and (frame is not None or every):
        raise UsageError(
            f"t= of {option('at')} names one frame: give it without {option('frame')}, {flag('all')} and an animation"
        )
    where = coordinates.keys() - {0}
    if asked.cut == "none" and (cut or axis or where):
        raise UsageError(
            f"{what} is of all points: there is no {option('slice')} or {option('axis')}, and no {option('at')} but t="
        )
    if asked.cut == "axis" and (cut or where):
        raise UsageError(f"{what} is of all points: {option('axis')} says over which axis is integrated")
    if sum(map(bool, (cut, axis, where))) > 1:
        raise UsageError(
            f"{option('axis')} cuts in the middle, {option('slice')} at an index, {option('at')} at a coordinate: "
            "give one of them"
        )
    if axis is not None and axis not in ("x", "y", "z"):
        raise UsageError(f"{option('axis')} {axis!r} is no axis: x, y or z")
    fixed: dict[int, int | None] = {}
    for word in filter(None, (cut or "").split(",")):
        match = re.fullmatch(r"\s*([xyz])\s*=\s*([+-]?[0-9]{1,18})\s*", word)
        if match is None or "xyz".index(match[1]) + 1 in fixed:
            raise UsageError(
                f"{option('slice')} {cut!r} cannot be read: write z=64, or y=3,z=64, with each axis once"
            )
        fixed["xyz".index(match[1]) + 1] = int(match[2])
    if axis is not None:
        fixed["xyz".index(axis) + 1] = None
    return PlotRequest(kind=kind, frame=None if every else frame or 0, fixed=fixed, at=coordinates, out=out)
