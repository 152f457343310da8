"""Several files as the frames of one wavefunction, each opened when it is read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from ...lattice.grid import UNKNOWN_AXIS, Axis, Box, shape4
from ...wording import option
from .coordinate import Coordinate
from .dims import LETTERS
from .file_stamps import FileStamps
from .variable import Slices, Variable
from .variable_source import VariableSource, variable_source

MAX_OPEN_FRAMES: Final = 8
"""Files that are open at a time: a process may have 256, and a chunk of the plan can take a few frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One file: what messages call it, and how it is opened."""

    name: str
    open: Callable[[], VariableSource]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFiles:
    """The files, of which a few are open. `known` are the facts of each that differ after a change."""

    frames: Sequence[Frame]
    known: list[tuple[str, ...]] = field(default_factory=list)
    _open: OrderedDict[int, VariableSource] = field(default_factory=OrderedDict, repr=False)

    def at(self, number: int) -> VariableSource:
        """One of the files, open. Raises InvalidInput if it cannot be used any more, or was changed."""
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        if len(self._open) == MAX_OPEN_FRAMES:
            self._open.popitem(last=False)[1].close()
        source = self._open[number] = self.frames[number].open()
        facts = source.files.now()
        if number == len(self.known):
            self.known.append(facts)
        elif facts != self.known[number]:
            raise InvalidInput(f"{self.frames[number].name} was changed while it was read: start again")
        return source

    def read(self, slices: Slices) -> NDArray[Any]:
        """A block of ψ, [t, x, y, z], read one frame after another, [1, x, y, z] each."""
        time, *rest = slices
        box = Box(
            start=shape4((0, *(span.start for span in rest))), stop=shape4((1, *(span.stop for span in rest)))
        )
        blocks = [self.at(number).read_directly(box) for number in range(time.start, time.stop)]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def close(self) -> None:
        """Close those that are open. May be called twice."""
        while self._open:
            self._open.popitem()[1].close()


@dataclass(frozen=True, slots=True, kw_only=True)
class FramesSource(VariableSource):
    """A `VariableSource` of several files, each a frame.

    `first` is what was understood of the first file, and `first_warnings` are its warnings.
    """

    first: Mapping[str, str] = field(default_factory=dict, repr=False)
    first_warnings: Sequence[str] = field(default=(), repr=False)

    def understood(self) -> Mapping[str, str]:
        return {**self.first, "read from": self.parts[0].what, "read in": "C order"}

    def warnings(self) -> list[str]:
        return [*self.first_warnings, *VariableSource.warnings(self)]


def frames_source(
    frames: Sequence[Frame],
    *,
    spec: str,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> FramesSource:
    """ψ of files that hold a frame each, of the same shape, type and axes.

    If the files state their times, these become the axis t; `box` and `dt` go before what the
    files say. Each file is opened once to look at it. Raises InvalidInput if one cannot be
    used, or is not like the first.
    """
    opened, files = FrameFiles(frames=frames), FileStamps(many=True)
    try:
        first, times = opened.at(0), []
        understood, warnings = first.understood(), first.warnings()
        for number, frame in enumerate(frames):
            current = opened.at(number)
            _check_like(first, current, frames[0].name, frame.name)
            files.include(current.files)
            times.append(_time(current))
        part = Variable(
            what=f"{frames[0].name} to {frames[-1].name} ({len(frames)} files)",
            shape=(len(frames), *first.grid.shape[1:]),
            dtype=first.dtype,
            read=opened.read,
            names=tuple(LETTERS),
            chunk=None if first.cache is None and first.order == "C" else (1, *first.block[1:]),
            member=f"{first.letters},{','.join(part.member for part in first.parts)}",
        )
        time = UNKNOWN_AXIS if dt is not None else _axis(times, f"the time of {part.what}")
        source = variable_source(
            [part],
            spec=spec,
            format=first.format,
            files=files,
            release=opened.close,
            box=box,
            dt=dt,
            grid=replace(first.grid, shape=shape4(part.shape), axes=(time, *first.grid.axes[1:])),
            order="C",
        )
    except BaseException:
        opened.close()
        raise
    return source.extended(FramesSource, first=understood, first_warnings=warnings)


def _check_like(first: VariableSource, source: VariableSource, first_name: str, name: str) -> None:
    """Raises InvalidInput unless a file is a frame, and differs from the first in its values and its time alone."""
    if source.grid.shape[0] > 1:
        raise InvalidInput(
            f"{name} holds {source.grid.shape[0]} times: each of several files must be one frame"
        )
    for what, mine, other in (
        ("mass", str(source.grid.mass), str(first.grid.mass)),
        ("shape", _sizes(source), _sizes(first)),
        ("dtype", _types(source), _types(first)),
        *(
            (f"axis {letter}", str(mine), str(other))
            for letter, mine, other in zip(
                LETTERS[1:], source.grid.axes[1:], first.grid.axes[1:], strict=True
            )
        ),
    ):
        if mine != other:
            raise InvalidInput(
                f"{name} is not like {first_name}, and so no frame beside it: its {what}: {mine}, not {other}"
            )


def _sizes(source: VariableSource) -> str:
    return ", ".join(
        f"{letter}={size}" for letter, size in zip(LETTERS[1:], source.grid.shape[1:], strict=True)
    )


def _types(source: VariableSource) -> str:
    return " and ".join(str(part.meant.newbyteorder("=")) for part in source.parts)


def _time(source: VariableSource) -> tuple[Axis, str | None]:
    """When a frame is, and the unit in which its file says so, perhaps since a date."""
    stated = source.parts[0].coordinates.get(source.letters.find("t"))
    return source.grid.axes[0], None if stated is None else stated.unit


def _axis(times: Sequence[tuple[Axis, str | None]], what: str) -> Axis:
    """The axis of the times of the frames; unknown if the files state none, or all the same."""
    if len({axis.origin for axis, _ in times}) == 1:
        return UNKNOWN_AXIS
    units = list(dict.fromkeys((axis.unit, unit) for axis, unit in times))
    if len(units) > 1:
        said_in = " and ".join(str(unit or own) for own, unit in units[:2])
        raise InvalidInput(f"{what} is stated in {said_in}: give {option('dt')}")
    return Coordinate(values=np.array([axis.origin for axis, _ in times]), unit=times[0][0].unit).axis(
        time=True, what=what
    )
