"""ψ made of one array of a file, or of two: real and imaginary part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput, QwfError
from ...lattice.grid import Box, Grid, Order, Shape4, shape4
from ...lattice.units import SINCE
from ...optional import first_line
from ..base import identity
from ..elements import complex_type, unmasked
from ..parameters import values_of
from .axes import axes_of, axis_arrays_for, axis_lengths
from .block_cache import BlockCache, order_for, parts_are_cheap
from .dims import LEFT_OUT, LETTERS, PART, is_parts, letters_of
from .file_stamps import FileStamps
from .read_ahead import ReadAhead
from .variable import Slices, Variable

COMPLEX_RECORDS: Final = (("r", "i"), ("re", "im"), ("real", "imag"), ("real", "imaginary"))
"""Names of the two fields of a compound type. Source of the first: h5py, which has it from HDF5's own examples."""

THREADS: Final = 2
"""That unpack blocks where the library bears it: until the first panel is there, encoding waits for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableSource:
    """ψ of a file; a Source. `letters` are those of the dimensions of its arrays, see `dims`.

    `files` are those that the values come from; if they are many, they are looked at only
    once the last of ψ was read. `release` gives them back. `cells` is None where any box
    costs what its bytes cost, and `ahead` is None where they are in memory already.
    """

    spec: str
    grid: Grid
    order: Order
    parts: tuple[Variable, ...]
    letters: str
    dtype: np.dtype[Any]
    cells: BlockCache | None
    ahead: ReadAhead | None
    format: str
    files: FileStamps = field(repr=False)
    release: Callable[[], object] = field(repr=False)

    def read(self, box: Box) -> NDArray[Any]:
        """ψ over the box. Memory is that of two boxes, and of the blocks of the file that are kept.

        Raises InvalidInput if the file cannot be read, or was changed since it was opened.
        """
        load = self._load if self.cells is None else self._from_cells
        return load(box) if self.ahead is None else self.ahead.read(box, load)

    def _from_cells(self, box: Box) -> NDArray[Any]:
        assert self.cells is not None  # noqa: S101 # as asked above
        return self.cells.read(box, self._load)

    @property
    def block(self) -> Shape4:
        """What is stored next to each other, [t, x, y, z]: a block of the file, or a row of what lies in one piece."""
        return _block(self.parts[0], self.letters)

    def at_once(self, box: Box) -> NDArray[Any]:
        """As `read`, for one that keeps blocks and reads ahead itself."""
        return self._load(box)

    def _load(self, box: Box) -> NDArray[Any]:
        found = [self._part(part, box) for part in self.parts]
        if not self.files.many or box.stop == self.grid.shape:
            self.check_unchanged()
        if len(found) == 1:
            return _complex(found[0], self.dtype)
        re, im = found
        return _joined(re, im, self.dtype)

    def _part(self, part: Variable, box: Box) -> NDArray[Any]:
        """A block of one array, [t, x, y, z], with an axis of two after them if that is among its dimensions."""
        bounds = dict(zip(LETTERS, zip(box.start, box.stop, strict=True), strict=True))
        bounds |= {PART: (0, 2), LEFT_OUT: (0, 1)}
        slices = tuple(slice(*bounds[letter]) for letter in self.letters)
        values = _read(part, slices)
        used = [letter for letter in self.letters if letter != LEFT_OUT]
        kept = values.reshape(
            [n for n, letter in zip(values.shape, self.letters, strict=True) if letter != LEFT_OUT]
        )
        wanted = [letter for letter in (*LETTERS, PART) if letter in used]
        turned = kept.transpose([used.index(letter) for letter in wanted])
        return turned.reshape((*box.shape, 2) if PART in used else box.shape)

    def check_unchanged(self) -> None:
        """Raises InvalidInput if one of the files is gone, or was changed since it was opened."""
        if changed := self.files.changed():
            raise InvalidInput(f"{changed} was changed while it was read: start again")

    def fingerprint(self) -> str:
        """The files by path, size and time of change, what was read of them and how, and the grid.

        The values are not read. Raises InvalidInput if a file is gone.
        """
        what = ",".join(part.member for part in self.parts)
        packed = (f"packing={part.packing!r}" for part in self.parts if part.packing is not None)
        return identity(*self.files.now(), f"member={what}", f"dims={self.letters}", *packed, grid=self.grid)

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
        found = [one for letter, size in sizes for one in axis_arrays_for(first, self.letters, letter, size)]
        if found:
            yield "axes beside", ", ".join(f"{one.letter}={one.what}" for one in found)
        place = self.letters.find("t")
        unit = first.coordinates[place].unit if place in first.coordinates else None
        if unit is not None and SINCE in unit:
            yield "times since", unit.partition(SINCE)[2].strip()

    def warnings(self) -> list[str]:
        """Arrays beside ψ that do not fit it, and that the file's blocks are read more than once, where that is so."""
        told = [
            f"{one.what} has {one.length} points and the axis {one.letter} of ψ has {size}: it is not taken for it"
            for letter, size, axis in zip(LETTERS, self.grid.shape, self.grid.axes, strict=True)
            for one in self.parts[0].beside
            if one.letter == letter and 1 < size != one.length and axis.step is None
        ]
        if self.cells is None or self.cells.times == 1:
            return told
        return [
            *told,
            f"{self.spec} is stored in blocks of {self.parts[0].chunk}: each is read about {self.cells.times} times; "
            "flatter blocks are read once",
        ]

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self.ahead is not None:
            self.ahead.close()
        if self.cells is not None:
            self.cells.close()
        self.release()


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
    `dt` (ħ/Eh) go before both. `held` says that the arrays are in memory.
    `order` is that of reading; by default it is the one that needs fewer blocks at a time.
    Raises InvalidInput if the arrays cannot be taken as a wavefunction, or their coordinates as axes.
    """
    first = parts[0]
    if any(part.shape != first.shape for part in parts):
        shapes = " and ".join(f"{part.what} of {part.shape}" for part in parts)
        raise InvalidInput(f"re and im have unequal shapes: {shapes}")
    if first.shape and min(first.shape) < 1:
        raise InvalidInput(f"{first.what} is empty: its shape is {first.shape}")
    kinds = [_type_of(part) for part in parts]
    real = all(part.dtype.kind in "fiu" for part in parts)
    if len(parts) == 2 and not real:
        raise InvalidInput(
            f"{spec}: re and im must be real numbers, not {' and '.join(str(p.dtype) for p in parts)}"
        )
    letters = letters_of(
        first.names,
        first.shape,
        real=real and len(parts) == 1,
        wanted=dims,
        grid=None if grid is None else grid.shape,
        lengths=axis_lengths(first),
        what=first.what,
    )
    shape = shape4(_along(letters, first.shape, letter) for letter in LETTERS)
    if grid is not None and grid.shape != shape:
        raise InvalidInput(f"{first.what} has the shape {shape} as t, x, y, z, but its grid has {grid.shape}")
    laid = grid or Grid(
        shape=shape, axes=axes_of(first, letters, shape, box=box is not None, dt=dt is not None)
    )
    if box is not None:
        laid = laid.with_box(values_of(box))
    if dt is not None:
        laid = laid.with_time_step(dt)
    dtype = np.result_type(*kinds)
    chunk = _block(first, letters)
    order = order or order_for(shape, chunk)
    anywhere = all(part.chunk is None or _parted(part, letters, shape, chunk, order) for part in parts)
    threads = THREADS if all(part.parallel for part in parts) else 1
    return VariableSource(
        spec=spec,
        grid=laid,
        order=order,
        parts=tuple(parts),
        letters=letters,
        dtype=dtype,
        cells=None if anywhere else BlockCache.of(shape, chunk, order, dtype.itemsize, threads=threads),
        ahead=None if held else ReadAhead(shape=shape, order=order),
        format=format,
        files=files,
        release=release,
    )


def _parted(part: Variable, letters: str, shape: Shape4, chunk: Shape4, order: Order) -> bool:
    """Whether boxes in the order of reading cost what their bytes cost, because parts of blocks can be read alone."""
    long = [letter for letter in letters if letter in LETTERS and shape[LETTERS.index(letter)] > 1]
    lying = long == sorted(long, key=LETTERS.index, reverse=order == "F")
    return part.parted and lying and parts_are_cheap(shape, chunk, order, part.dtype.itemsize)


def _block(part: Variable, letters: str) -> Shape4:
    sizes = part.chunk or _row(part)
    return shape4(_along(letters, sizes, letter) for letter in LETTERS)


def _row(part: Variable) -> tuple[int, ...]:
    """What is next to each other: a row of the last dimension of more than one point, or of the first."""
    long = [place for place, size in enumerate(part.shape) if size > 1] or [0]
    row = long[0] if part.fortran else long[-1]
    return tuple(size if place == row else 1 for place, size in enumerate(part.shape))


def _along(letters: str, sizes: Sequence[int], letter: str) -> int:
    return sizes[letters.index(letter)] if letter in letters else 1


def holds_complex(dtype: np.dtype[Any], names: Sequence[str | None], shape: Sequence[int]) -> bool:
    """Whether an array is one of complex numbers: by its type, or by a dimension named as one of re and im."""
    if dtype.names is not None:
        return tuple(name.lower() for name in dtype.names) in COMPLEX_RECORDS
    return dtype.kind == "c" or (
        dtype.kind in "fiu" and any(is_parts(name, size) for name, size in zip(names, shape, strict=True))
    )


def _type_of(part: Variable) -> np.dtype[Any]:
    """The complex type of an array's values, which may be packed, or of a compound type {r, i}."""
    dtype = part.dtype
    if dtype.names is None:
        return complex_type(part.meant, part.what)
    if tuple(name.lower() for name in dtype.names) in COMPLEX_RECORDS:
        kinds = {dtype[name] for name in dtype.names}
        if len(kinds) == 1 and (kind := kinds.pop()).kind == "f":
            return complex_type(kind if part.packing is None else part.meant, part.what)
    raise InvalidInput(
        f"{part.what} holds records of {', '.join(dtype.names)}; a complex number has two real fields of one type, "
        "in this order: r and i, re and im, or real and imag"
    )


def _read(part: Variable, slices: Slices) -> NDArray[Any]:
    """A block of an array, unpacked. Raises InvalidInput if the library behind cannot read it, or yields another."""
    try:
        values = unmasked(part.read(slices))
    except QwfError:
        raise
    except Exception as error:  # the library may raise anything for a damaged file
        raise InvalidInput(
            f"{part.what} cannot be read: {type(error).__name__}: {first_line(error)}"
        ) from error
    wanted = tuple(one.stop - one.start for one in slices)
    if values.shape != wanted or values.dtype.kind not in "cfiuV":
        raise InvalidInput(f"{part.what} gave {values.dtype} of shape {values.shape} for a block of {wanted}")
    if part.packing is None:
        return values
    if values.dtype.names is not None:
        values = _complex(values, _type_of(part))
    return part.packing.unpack(values)


def _complex(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Complex numbers of complex or real ones, of records of two fields, or of an axis of two at the end."""
    if values.dtype.names is not None:
        re, im = values.dtype.names
        return _joined(values[re], values[im], dtype)
    if values.ndim == 5:
        return _joined(values[..., 0], values[..., 1], dtype)
    return values.astype(dtype, copy=False)


def _joined(re: NDArray[Any], im: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    result = np.empty_like(re, dtype)  # in the order of the parts
    result.real, result.imag = re, im
    return result
