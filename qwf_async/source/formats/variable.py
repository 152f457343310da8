"""One array of a file, as every format has it: read a block at a time, with names and coordinates of its dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .coordinate import Coordinate
from .packing import Packing

Slices = tuple[slice, ...]
"""A block of an array: a slice without a step for each dimension, within its bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisArray:
    """An array beside ψ that can be its axis `letter`, see `axis_arrays`; `read` is asked only if it is.

    `what` names it in messages, `length` is its number of points.
    """

    letter: str
    what: str
    length: int
    read: Callable[[], Coordinate] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One array. `read` yields a block of it, of `dtype`; `what` names it in messages.

    `names` are those of the dimensions, None for one without. The numbers mean what `packing`
    says; if it is None they mean themselves. `coordinates` are those that the file states, by
    the index of the dimension; `axis_arrays` can be axes where a dimension has no name and no
    coordinate. `mass` is that of the particle in electron masses. `member` is what tells the array from
    others of the same file.

    `chunk` is the block in which the file stores the array, and that is read as a whole. It is
    None if nothing lies between the values, so that any row of the last dimension is cheap, or
    any of the first if the array is `fortran`. `parted` says that a part of a block can be read
    alone, `parallel` that several threads may read at once.
    """

    what: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[Slices], NDArray[Any]] = field(repr=False)
    names: tuple[str | None, ...]
    packing: Packing | None = None
    chunk: tuple[int, ...] | None = None
    fortran: bool = False
    parted: bool = False
    parallel: bool = False
    coordinates: Mapping[int, Coordinate] = field(default_factory=dict, repr=False)
    axis_arrays: Sequence[AxisArray] = field(default=(), repr=False)
    mass: float = 1.0
    member: str = ""

    @property
    def meant(self) -> np.dtype[Any]:
        """The type of the numbers that the stored ones mean."""
        return self.dtype if self.packing is None else self.packing.dtype


def transposed(part: Variable) -> Variable:
    """The same array with its dimensions in the other order, [z, y, x] for [x, y, z].

    That is how a program sees it that counts the first dimension fastest.
    """
    last = len(part.shape) - 1
    return replace(
        part,
        shape=part.shape[::-1],
        read=lambda slices: part.read(slices[::-1]).T,
        names=part.names[::-1],
        chunk=None if part.chunk is None else part.chunk[::-1],
        fortran=not part.fortran,
        coordinates={last - dimension: coordinate for dimension, coordinate in part.coordinates.items()},
    )
