"""Several files as the frames of one wavefunction, each opened when it is read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from .dims import LEFT_OUT, LETTERS
from .field import Field, field_of, read_values, row_of
from .stamp import Files
from .variable import Coordinate, Slices, Variable

OPEN: Final = 8
"""Files that are open at a time: a process may have 256, and a chunk of the plan may take a few frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One file: how messages call it, and how it is opened."""

    name: str
    open: Callable[[], Field]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The files, of which a few are open. `known` tells each from the same file after a change."""

    frames: Sequence[Frame]
    known: list[tuple[str, ...]] = field(default_factory=list)
    _open: OrderedDict[int, Field] = field(default_factory=OrderedDict, repr=False)

    def at(self, number: int) -> Field:
        """One of the files, open. Raises InvalidInput if it cannot be used any more, or was changed."""
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        if len(self._open) == OPEN:
            self._open.popitem(last=False)[1].close()
        found = self._open[number] = self.frames[number].open()
        facts = found.files.now()
        if number == len(self.known):
            self.known.append(facts)
        elif facts != self.known[number]:
            raise InvalidInput(f"{self.frames[number].name} was changed while it was read: start again")
        return found

    def read(self, which: int, slices: Slices) -> NDArray[Any]:
        """A block of an array, unpacked, a frame after the other; `which` of a pair."""
        time, *rest = slices
        parts = (self.at(number).parts[which] for number in range(time.start, time.stop))
        blocks = [read_values(part, tuple(rest)) for part in parts]  # each file has a packing of its own
        return np.stack(blocks) if len(blocks) > 1 else blocks[0][None]

    def close(self) -> None:
        """Close those that are open. May be called twice."""
        while self._open:
            self._open.popitem()[1].close()


def frames_of(
    frames: Sequence[Frame],
    *,
    spec: str,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> Field:
    """ψ of files that hold a frame each, of the same shape, type and axes.

    Where the files state their times, these become the axis; `box` and `dt` go before what the
    files say. Each file is opened once to look at it. Raises InvalidInput if one cannot be
    used, or is not like the first.
    """
    shelf, files = Shelf(frames=frames), Files(many=True)
    try:
        first = shelf.at(0)
        times = []
        for number in range(len(frames)):
            one = shelf.at(number)
            _check_like(first, one, frames[0].name, frames[number].name)
            files.include(one.files)
            times.append(_time(one))
        parts = [
            _stacked(part, first.letters, times, partial(shelf.read, which), _described(frames))
            for which, part in enumerate(first.parts)
        ]
        return field_of(
            parts,
            spec=spec,
            format=f"{first.format}, a file a frame",
            files=files,
            release=shelf.close,
            dims=",".join("t" + first.letters.replace("t", LEFT_OUT)),
            box=box,
            dt=dt,
            order="C",
        )
    except BaseException:
        shelf.close()
        raise


def _described(frames: Sequence[Frame]) -> str:
    return f"{frames[0].name} to {frames[-1].name} ({len(frames)} files)"


def _check_like(first: Field, one: Field, first_name: str, name: str) -> None:
    """Raises InvalidInput unless a file is a frame, and differs from the first in its values and its time alone."""
    if one.grid.shape[0] > 1:
        raise InvalidInput(f"{name} holds {one.grid.shape[0]} times: each of several files must be one frame")
    for what, mine, other in (
        ("dimensions", _sizes(one), _sizes(first)),
        ("dtype", _types(one), _types(first)),
        *(
            (f"axis {letter}", mine, other)
            for letter, mine, other in zip(LETTERS[1:], one.grid.axes[1:], first.grid.axes[1:], strict=True)
        ),
    ):
        if mine != other:
            raise InvalidInput(
                f"{name} is not like {first_name}, and so no frame beside it: its {what}: {mine}, not {other}"
            )


def _sizes(one: Field) -> str:
    return ", ".join(f"{letter}={size}" for letter, size in zip(one.letters, one.parts[0].shape, strict=True))


def _types(one: Field) -> str:
    return " and ".join(str(part.meant.newbyteorder("=")) for part in one.parts)


def _time(one: Field) -> Coordinate | None:
    """When the frame is, if the file states it."""
    return one.parts[0].coordinates.get(one.letters.find("t"))


def _stacked(
    part: Variable,
    letters: str,
    times: Sequence[Coordinate | None],
    read: Callable[[Slices], NDArray[Any]],
    what: str,
) -> Variable:
    long = [letter for letter in letters if letter in LETTERS]
    lying = part.chunk is None and not part.fortran and long == sorted(long, key=LETTERS.index)
    coordinates = {place + 1: one for place, one in part.coordinates.items() if letters[place] != "t"}
    stated = [time for time in times if time is not None]
    if len(stated) == len(times) and len({time.unit for time in stated}) == 1:
        coordinates[0] = Coordinate(
            values=np.concatenate([time.values for time in stated]), unit=stated[0].unit
        )
    return Variable(
        what=what,
        shape=(len(times), *part.shape),
        dtype=part.meant,
        read=read,
        names=("t", *part.names),
        chunk=None if lying else (1, *(part.chunk or row_of(part))),
        parted=part.parted,
        coordinates=coordinates,
        member=part.member,
    )
