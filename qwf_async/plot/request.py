"""What a picture is asked to show, as text and options say it: read, and free of contradictions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast, get_args

from ..errors import UsageError

FILMS: Final = (".gif", ".mp4")
SUFFIXES: Final = (".png", ".svg", *FILMS)

What = Literal["density", "phase", "marginals", "expectations", "animation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be drawn, free of contradictions. `frame` None: all. `fixed`: axis → index, or None: the middle."""

    what: What | None
    frame: int | None
    fixed: Mapping[int, int | None]
    out: Path | None

    @property
    def film(self) -> bool:
        return self.out is not None and self.out.suffix.lower() in FILMS

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of density and phase, which."""
        return (self.what,) if self.what in ("density", "phase") else ("density", "phase")


def read_request(
    what: str | None, *, frame: int | None, every: bool, at: str | None, axis: str | None, out: Path | None
) -> Asked:
    """The options as one. Raises UsageError for values that are none, and for those that contradict each other."""
    suffix = "" if out is None else out.suffix.lower()
    if out is not None and suffix not in SUFFIXES:
        raise UsageError(f"{out} is written as its suffix says: {', '.join(SUFFIXES)}")
    if what is not None and what not in get_args(What):
        raise UsageError(f"--what {what!r} is none of {', '.join(get_args(What))}")
    film, curves = suffix in FILMS, what in ("marginals", "expectations")
    if what == "animation" and not film:
        raise UsageError("an animation is written to a file: -o FILE.gif or -o FILE.mp4")
    if film and curves:
        raise UsageError(f"--what {what} is no animation: write a .png or .svg")
    if frame is not None and (every or film or what == "expectations"):
        raise UsageError("--frame names one frame, and all are to be shown: leave it out")
    if every and what == "marginals":
        raise UsageError("--what marginals shows one frame: give --frame instead of --all")
    if (at or axis) and curves:
        raise UsageError(f"--what {what} is of all points: there is no --slice or --axis")
    if at and axis:
        raise UsageError("--axis cuts in the middle, and --slice where it says: give one of them")
    if axis is not None and axis not in ("x", "y", "z"):
        raise UsageError(f"--axis {axis!r} is no axis: x, y or z")
    fixed: dict[int, int | None] = {}
    for word in filter(None, (at or "").split(",")):
        match = re.fullmatch(r"\s*([xyz])\s*=\s*([+-]?[0-9]{1,18})\s*", word)
        if match is None or "xyz".index(match[1]) + 1 in fixed:
            raise UsageError(f"--slice {at!r} cannot be read: write z=64, or y=3,z=64, with each axis once")
        fixed["xyz".index(match[1]) + 1] = int(match[2])
    if axis is not None:
        fixed["xyz".index(axis) + 1] = None
    shown = None if every or film or what == "expectations" else frame or 0
    return Asked(what=cast("What | None", what), frame=shown, fixed=fixed, out=out)
