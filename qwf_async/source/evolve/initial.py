"""The frame with which an evolution begins: one of those that a file, an array or a stored wavefunction has.

A state by its formula, or a function, has ψ at any time: its first frame is taken, at the time that is given.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from numpy.typing import NDArray

from ...errors import InvalidInput
from ...lattice.grid import AXIS_NAMES, Axis, Box, Grid, Order
from ...wording import option
from ..analytic.formula import Analytic
from ..base import Source, understood_of, warnings_of
from ..callable import FunctionSource
from ..in_units import InUnits
from ..parameters import number_text

SAME_TIME: Final = 1e-6
"""Distance, in steps from frame to frame, within which a frame is at the time that is asked for."""

SAME_PLACE: Final = 1e-6
"""Distance, in grid spacings, within which two points are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialFrame:
    """One frame of another source; a Source. Its time is the origin of the axis t.

    `number` is that of the frame where it comes from, `index` that in `source`. `words` are what
    chooses it in the text of an evolution: `frame`, `start`, or neither. `stored` is the
    generation of a stored wavefunction, "" for other sources.
    """

    source: Source
    spec: str
    grid: Grid
    number: int
    index: int
    words: Mapping[str, str]
    stored: str = ""

    @property
    def order(self) -> Order:
        return self.source.order

    def read(self, box: Box) -> NDArray[Any]:
        """ψ over a box of the one frame."""
        (t, *start), (_, *stop) = box.start, box.stop
        at = self.index + t
        return self.source.read(
            Box(start=(at, start[0], start[1], start[2]), stop=(at + 1, stop[0], stop[1], stop[2]))
        )

    def fingerprint(self) -> str:
        """That of the source, or the generation of what is stored, and the number of the frame."""
        known = f"stored={self.stored}" if self.stored else self.source.fingerprint()
        return f"{known};frame={self.number}"

    def warnings(self) -> list[str]:
        """Those of the source."""
        return list(warnings_of(self.source))

    def understood(self) -> dict[str, str]:
        """How the source was understood, and which frame of it is taken."""
        time = self.grid.axes[0].origin
        words = {f"initial {subject}": text for subject, text in understood_of(self.source).items()}
        return {"initial": f"frame {self.number} of {self.spec}, at t = {time:.6g} ħ/Eh", **words}

    def close(self) -> None:
        """Close the source."""
        self.source.close()


def initial_of(source: Source, *, frame: int | None, start: float | None) -> Source:
    """What an evolution begins with: a state at the time `start` (ħ/Eh), or the frame that is chosen.

    Raises InvalidInput as `choose`, and for a `frame` of a state that has ψ at any time.
    """
    if isinstance(source, InUnits):
        source = source.source
    if isinstance(source, Analytic | FunctionSource):
        if frame is not None:
            raise InvalidInput(f"frame={frame} is for data: {source.spec} has ψ at any time, give start=")
        return source if start is None else replace(source, grid=beginning_at(source.grid, start))
    if isinstance(source, InitialFrame) and frame is None and start is None:
        return source
    return frame_of(source, frame=frame, start=start, spec=source.spec)


def frame_of(source: Source, *, frame: int | None, start: float | None, spec: str) -> InitialFrame:
    """The frame that is chosen of data. Raises InvalidInput as `choose`."""
    chosen = choose(source.grid, frame=frame, start=start, what=spec)
    return chosen.of(source, index=chosen.number, spec=spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The number of a frame, its own time in ħ/Eh (0 if it is not known), and the time at which a run begins with it.

    `alone` says that there is no other frame.
    """

    number: int
    time: float
    begin: float
    alone: bool

    def of(self, source: Source, *, index: int, spec: str, stored: str = "") -> InitialFrame:
        """The frame, which is number `index` of the source."""
        words = {} if self.alone else {"frame": str(self.number)}
        if self.begin != self.time:
            words["start"] = number_text(self.begin)
        grid = beginning_at(source.grid, self.begin)
        return InitialFrame(
            source=source,
            spec=spec,
            grid=replace(grid, shape=(1, *grid.shape[1:])),
            number=self.number,
            index=index,
            words=words,
            stored=stored,
        )


def choose(grid: Grid, *, frame: int | None, start: float | None, what: str) -> Choice:
    """The frame with which a run begins, of those of a grid.

    `frame` counts from the end if it is negative. Without it `start` chooses a frame by its time,
    and without both it is the last one. Raises InvalidInput, naming `what`, if there is no such frame.
    """
    if start is not None:
        beginning_at(grid, start)
    axis, count = grid.axes[0].in_atomic_units("t"), grid.shape[0]
    timed = axis.step is not None or (count == 1 and axis.origin != 0)
    step = axis.step or 0.0
    if frame is not None:
        number = operator.index(frame) + (count if frame < 0 else 0)
        if not 0 <= number < count:
            raise InvalidInput(f"frame={frame}: {what} has {count} frames, 0 to {count - 1}")
    elif start is None or (not timed and count == 1):
        number = count - 1
    elif not timed:
        raise InvalidInput(
            f"start={start:g} does not say which of the {count} frames of {what} is meant, for their times are not "
            "known: give frame= too"
        )
    else:
        number = min(count - 1, max(0, round((start - axis.origin) / step))) if step else 0
        distance = abs(axis.origin + number * step - start)
        if not distance <= SAME_TIME * (step or max(1.0, abs(start))):
            last = axis.origin + (count - 1) * step
            times = f"t = {last:g}" if count == 1 else f"t = {axis.origin:g} to {last:g} in steps of {step:g}"
            raise InvalidInput(
                f"start={start:g}: {what} has its frames at {times} ħ/Eh; with frame= as well, that frame is taken "
                "and its time is start="
            )
    time = axis.origin + number * step if timed else 0.0
    return Choice(number=number, time=time, begin=time if start is None else float(start), alone=count == 1)


def beginning_at(grid: Grid, start: float) -> Grid:
    """The grid in atomic units, its first time at `start` (ħ/Eh). Raises InvalidInput if that is not finite."""
    if not math.isfinite(start):
        raise InvalidInput(f"start={start} must be finite")
    grid = grid.in_atomic_units()
    return replace(grid, axes=(replace(grid.axes[0], origin=float(start)), *grid.axes[1:]))


def placed(frame: Grid, points: Grid | None, extents: tuple[float, ...] | None, what: str) -> Grid:
    """The grid of an initial frame, in atomic units, over the extents (bohr) if it does not say its own.

    Raises InvalidInput if it has other points than the user asked for: `points`, None if not at all,
    or the extents.
    """
    frame = frame.in_atomic_units()
    sizes = "x".join(map(str, frame.shape[1:]))
    if points is not None and points.shape[1:] != frame.shape[1:]:
        asked = "x".join(map(str, points.shape[1:]))
        raise InvalidInput(
            f"initial={what} has {sizes} points a frame, and the grid {asked}: give {option('grid', sizes)}"
        )
    if extents is None:
        return frame
    boxed = frame.with_box(extents)
    axes = [frame.axes[0]]
    for name, size, own, wanted in zip(
        AXIS_NAMES[1:], frame.shape[1:], frame.axes[1:], boxed.axes[1:], strict=True
    ):
        if own.step is not None and size > 1:
            ends, asked_for = _ends(own, size), _ends(wanted, size)
            if max(abs(a - b) for a, b in zip(ends, asked_for, strict=True)) > SAME_PLACE * own.step:
                raise InvalidInput(
                    f"initial={what} lies from {ends[0]:g} to {ends[1]:g} bohr along {name}, and {option('box')} asks "
                    f"for {asked_for[0]:g} to {asked_for[1]:g}: leave {option('box')} out"
                )
        axes.append(wanted if own.step is None else own)
    t, x, y, z = axes
    return replace(frame, axes=(t, x, y, z))


def _ends(axis: Axis, size: int) -> tuple[float, float]:
    """Where an axis begins and ends, the left-out end point included."""
    return axis.origin, axis.origin + size * (axis.step or 0.0)
