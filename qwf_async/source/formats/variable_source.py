"""`VariableSource`: ψ made of one array of a file, or of two, real part and imaginary part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput, QwfError
from ...lattice.grid import Box, Grid, Order, Shape4, shape4
from ...lattice.units import SINCE
from ...optional import first_line
from ..base import identity
from ..elements import unmasked
from ..parameters import values_of
from .axes import axes_of, axis_arrays_for, axis_lengths
from .block_cache import BlockCache, order_for, parts_are_cheap
from .complex_values import as_complex, complex_type_of, joined
from .dims import LEFT_OUT, LETTERS, PART, letters_of
from .file_stamps import FileStamps
from .read_ahead import ReadAhead
from .variable import Slices, Variable

S = TypeVar("S", bound="VariableSource")

THREADS: Final = 2
"""Threads that unpack blocks, where the library allows several: encoding waits until the first panel is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableSource:
    """A Source of ψ in one array, or in two: real part, imaginary part.

    `letters` are those of the dimensions of the arrays, see `dims`. `files` are those that the
    values come from; if they are many, they are looked at only after the last of ψ was read.
    `release` closes them. `cache` is None where reading any box takes as long as reading its
    bytes, and `ahead` is None for arrays in memory.
    """

    spec: str
    grid: Grid
    order: Order
    parts: tuple[Variable, ...]
    letters: str
    dtype: np.dtype[Any]
    cache: BlockCache | None
    ahead: ReadAhead | None
    format: str
    files: FileStamps = field(repr=False)
    release: Callable[[], object] = field(repr=False)

    @property
    def parallel(self) -> bool:
        """Whether several threads may read at once: only arrays in memory, for files have a position, and caches."""
        return self.cache is None and self.ahead is None

    def read(self, box: Box) -> NDArray[Any]:
        """ψ over the box. Memory is that of two boxes, and of the blocks of the file that are kept.

        Raises InvalidInput if the file cannot be read, or was changed since it was opened.
        """
        load = self._load if self.cache is None else self._from_cache
        return load(box) if self.ahead is None else self.ahead.read(box, load)

    def _from_cache(self, box: Box) -> NDArray[Any]:
        assert self.cache is not None  # noqa: S101 # as `read` asks
        return self.cache.read(box, self._load)

    @property
    def block(self) -> Shape4:
        """The shape, [t, x, y, z], of what is stored together: a block of the file, or a row where it has none."""
        return _block(self.parts[0], self.letters)

    def read_directly(self, box: Box) -> NDArray[Any]:
        """As `read`, for a caller that keeps blocks and reads ahead itself."""
        return self._load(box)

    def _load(self, box: Box) -> NDArray[Any]:
        parts = [self._part(part, box) for part in self.parts]
        if not self.files.many or box.stop == self.grid.shape:
            self.check_unchanged()
        if len(parts) == 1:
            return as_complex(parts[0], self.dtype)
        re, im = parts
        return joined(re, im, self.dtype)

    def _part(self, part: Variable, box: Box) -> NDArray[Any]:
        """A block of one array, [t, x, y, z], or [t, x, y, z, 2] if one of its dimensions is that of re and im."""
        bounds = dict(zip(LETTERS, zip(box.start, box.stop, strict=True), strict=True))
        bounds |= {PART: (0, 2), LEFT_OUT: (0, 1)}
        slices = tuple(slice(*bounds[letter]) for letter in self.letters)
        values = _read(part, slices)
        # Three views; as an example, the letters "z-xc" of a file's [nz, 1, nx, 2].
        # First without the dimensions that are left out: [nz, nx, 2].
        # Then in the order t, x, y, z, c of those that there are: [nx, nz, 2].
        # Last with an axis of one point for each letter that is missing: [1, nx, 1, nz, 2].
        used = [letter for letter in self.letters if letter != LEFT_OUT]
        kept = values.reshape(
            [n for n, letter in zip(values.shape, self.letters, strict=True) if letter != LEFT_OUT]
        )
        in_order = [letter for letter in (*LETTERS, PART) if letter in used]
        turned = kept.transpose([used.index(letter) for letter in in_order])
        return turned.reshape((*box.shape, 2) if PART in used else box.shape)

    def check_unchanged(self) -> None:
        """Raises InvalidInput if one of the files is gone, or was changed since it was opened."""
        if changed := self.files.changed():
            raise InvalidInput(f"{changed} was changed while it was read: start again")

    def fingerprint(self) -> str:
        """The files by path, size and time of change, which arrays are read and how, and the grid.

        The values are not read. Raises InvalidInput if a file is gone.
        """
        members = ",".join(part.member for part in self.parts)
        packed = (f"packing={part.packing!r}" for part in self.parts if part.packing is not None)
        return identity(
            *self.files.now(), f"member={members}", f"dims={self.letters}", *packed, grid=self.grid
        )

    def understood(self) -> Mapping[str, str]:
        """What was made of the file, in words: its format, which array, and which dimension is which axis."""
        first = self.parts[0]
        named = (
            f"{letter}={name or number} ({size})"
            for number, (letter, name, size) in enumerate(
                zip(self.letters, first.names, first.shape, strict=True)
            )
        )
        words = {LEFT_OUT: "left out", PART: "re,im"}
        dimensions = ", ".join(words.get(text[0], text[0]) + text[1:] for text in named)
        packings = [part.packing for part in self.parts if part.packing is not None]
        missing = " or ".join(str(number) for packing in packings for number in packing.missing)
        chunk = "none" if first.chunk is None else "×".join(map(str, first.chunk))
        return {
            "format": self.format,
            "read from": " and ".join(part.what for part in self.parts),
            "dtype": " and ".join(str(part.dtype) for part in self.parts),
            **({"unpacked as": " and ".join(map(str, packings))} if packings else {}),
            **({"missing where": missing} if missing else {}),
            "dimensions": dimensions,
            **dict(self._stated()),
            "file's blocks": chunk,
            "read in": f"{self.order} order",
        }

    def _stated(self) -> Iterator[tuple[str, str]]:
        """The arrays beside ψ that are its axes, and the date from which times count, if there are any."""
        first = self.parts[0]
        sizes = zip(LETTERS, self.grid.shape, strict=True)
        arrays = [
            array for letter, size in sizes for array in axis_arrays_for(first, self.letters, letter, size)
        ]
        if arrays:
            yield "axes beside", ", ".join(f"{array.letter}={array.what}" for array in arrays)
        time = self.letters.find("t")
        unit = first.coordinates[time].unit if time in first.coordinates else None
        if unit is not None and SINCE in unit:
            yield "times since", unit.partition(SINCE)[2].strip()

    def warnings(self) -> list[str]:
        """Warnings of arrays beside ψ that do not fit it, and of blocks of the file that are read more than once."""
        unfit = [
            f"{array.what} has {array.length} points and the axis {array.letter} of ψ has {size}: "
            "it is not taken for it"
            for letter, size, axis in zip(LETTERS, self.grid.shape, self.grid.axes, strict=True)
            for array in self.parts[0].axis_arrays
            if array.letter == letter and 1 < size != array.length and axis.step is None
        ]
        if self.cache is None or self.cache.times == 1:
            return unfit
        return [
            *unfit,
            f"{self.spec} is stored in blocks of {self.parts[0].chunk}: each is read about {self.cache.times} times; "
            "flatter blocks are read once",
        ]

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self.ahead is not None:
            self.ahead.close()
        if self.cache is not None:
            self.cache.close()
        self.release()

    def extended(self, kind: type[S], **more: Any) -> S:
        """The same source as one of a class derived from this, with values for what that has `more`, or otherwise."""
        own = {name: getattr(self, name) for name in VariableSource.__dataclass_fields__}
        return kind(**own | more)


def variable_source(
    parts: Sequence[Variable],
    *,
    spec: str,
    format: str,  # noqa: A002 # the field's own word for it
    files: FileStamps,
    release: Callable[[], object] = lambda: None,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
    grid: Grid | None = None,
    held: bool = False,
    order: Order | None = None,
) -> VariableSource:
    """A source of one complex or real array, or of two real ones of the same shape.

    `dims`: which dimension is which axis, see `dims.letters_of`. The axes of `grid`, which must
    have the shape of ψ, are used instead of the coordinates of the dimensions; `box` (bohr) and
    `dt` (ħ/Eh) go before both. `held` says that the arrays are in memory. `order` is that of
    reading; by default it is the one that needs fewer blocks at a time.
    Raises InvalidInput if the arrays cannot be a wavefunction, or their coordinates axes.
    """
    first = parts[0]
    if any(part.shape != first.shape for part in parts):
        shapes = " and ".join(f"{part.what} of {part.shape}" for part in parts)
        raise InvalidInput(f"re and im have unequal shapes: {shapes}")
    if first.shape and min(first.shape) < 1:
        raise InvalidInput(f"{first.what} is empty: its shape is {first.shape}")
    dtypes = [complex_type_of(part) for part in parts]
    real = all(part.dtype.kind in "fiu" for part in parts)
    if len(parts) == 2 and not real:
        raise InvalidInput(
            f"{spec}: re and im must be real numbers, not {' and '.join(str(p.dtype) for p in parts)}"
        )
    letters = letters_of(
        first.names,
        first.shape,
        real=real and len(parts) == 1,
        dims=dims,
        grid=None if grid is None else grid.shape,
        lengths=axis_lengths(first),
        what=first.what,
    )
    shape = shape4(_along(letters, first.shape, letter) for letter in LETTERS)
    if grid is not None and grid.shape != shape:
        raise InvalidInput(f"{first.what} has the shape {shape} as t, x, y, z, but its grid has {grid.shape}")
    grid = grid or Grid(
        shape=shape,
        axes=axes_of(first, letters, shape, box=box is not None, dt=dt is not None),
        mass=first.mass,
    )
    if box is not None:
        grid = grid.with_box(values_of(box))
    if dt is not None:
        grid = grid.with_time_step(dt)
    dtype = np.result_type(*dtypes)
    chunk = _block(first, letters)
    order = order or order_for(shape, chunk)
    any_box = all(part.chunk is None or _parted(part, letters, shape, chunk, order) for part in parts)
    threads = THREADS if all(part.parallel for part in parts) else 1
    return VariableSource(
        spec=spec,
        grid=grid,
        order=order,
        parts=tuple(parts),
        letters=letters,
        dtype=dtype,
        cache=None if any_box else BlockCache.of(shape, chunk, order, dtype.itemsize, threads=threads),
        ahead=None if held else ReadAhead(shape=shape, order=order),
        format=format,
        files=files,
        release=release,
    )


def _parted(part: Variable, letters: str, shape: Shape4, chunk: Shape4, order: Order) -> bool:
    """Whether reading a box takes as long as reading its bytes, because parts of blocks can be read alone.

    The dimensions must be in the order of reading, t, x, y, z or the reverse.
    """
    long = [letter for letter in letters if letter in LETTERS and shape[LETTERS.index(letter)] > 1]
    in_order = long == sorted(long, key=LETTERS.index, reverse=order == "F")
    return part.parted and in_order and parts_are_cheap(shape, chunk, order, part.dtype.itemsize)


def _block(part: Variable, letters: str) -> Shape4:
    """The shape, [t, x, y, z], of a block of the file, or of a row of an array in one piece."""
    sizes = part.chunk or _row(part)
    return shape4(_along(letters, sizes, letter) for letter in LETTERS)


def _row(part: Variable) -> tuple[int, ...]:
    """The shape of a row: it is along the last dimension of more than one point, or in Fortran order the first."""
    long = [dimension for dimension, size in enumerate(part.shape) if size > 1] or [0]
    row = long[0] if part.fortran else long[-1]
    return tuple(size if dimension == row else 1 for dimension, size in enumerate(part.shape))


def _along(letters: str, sizes: Sequence[int], letter: str) -> int:
    """The size of the dimension with that letter, 1 if there is none."""
    return sizes[letters.index(letter)] if letter in letters else 1


def _read(part: Variable, slices: Slices) -> NDArray[Any]:
    """A block of an array, unpacked. Raises InvalidInput if the library cannot read it, or yields another block."""
    try:
        values = unmasked(part.read(slices))
    except QwfError:
        raise
    except Exception as error:  # the library may raise anything for a damaged file
        raise InvalidInput(
            f"{part.what} cannot be read: {type(error).__name__}: {first_line(error)}"
        ) from error
    shape = tuple(span.stop - span.start for span in slices)
    if values.shape != shape or values.dtype.kind not in "cfiuV":
        raise InvalidInput(f"{part.what} gave {values.dtype} of shape {values.shape} for a block of {shape}")
    if part.packing is None:
        return values
    if values.dtype.names is not None:
        values = as_complex(values, complex_type_of(part))
    return part.packing.unpack(values)
