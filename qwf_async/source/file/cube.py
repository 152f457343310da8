"""Wavefunctions in Gaussian cube files, which are text: one real function, or a pair for real and imaginary part.

Format: Gaussian 16, utility `cubegen` (gaussian.com/cubegen): two lines of comment; number
of atoms and origin; for each axis its number of voxels and their edge, in bohr, or in
ångström if the numbers of voxels are negative; the atoms; if their number is negative, the
numbers of the orbitals; then the values, z fastest, all orbitals of a voxel together. Not
covered: voxels whose edges do not lie along x, y and z.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import FileIO
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from ...units import ANGSTROM
from .contiguous import opened
from .field import Field, field_of
from .opening import opening
from .variable import Coordinate, Slices, Variable

BLOCK: Final = 1 << 20
"""Bytes that are looked through at a time."""

MARK: Final = 65_536
"""Numbers from one remembered place in the file to the next."""

ATOMS: Final = 1_000_000
LINE: Final = 10_000
"""Bounds on what a header is believed to hold: atoms, and characters of a line."""

_BLANK: Final = np.zeros(256, np.bool_)
_BLANK[list(b" \t\n\r\v\f")] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeHeader:
    """What comes before the values. Lengths in bohr; `orbitals` are their numbers, none for a plain cube.

    `atoms`: atomic number, charge, and x, y, z of each, float64 [atoms, 5].
    """

    shape: tuple[int, int, int]
    origin: tuple[float, float, float]
    steps: tuple[float, float, float]
    atoms: NDArray[np.float64]
    orbitals: tuple[int, ...]
    begin: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeField(Field):
    """A `Field` that knows the atoms of its file: atomic number, charge, and x, y, z in bohr, float64 [atoms, 5]."""

    atoms: NDArray[np.float64] = field(repr=False, default_factory=lambda: np.empty((0, 5)))

    def understood(self) -> Mapping[str, str]:
        words = [f"Z={z:.0f} at ({x:.4g}, {y:.4g}, {w:.4g})" for z, _, x, y, w in self.atoms[:10].tolist()]
        more = ", …" if len(self.atoms) > 10 else ""
        return {**Field.understood(self), "atoms": ", ".join(words) + more or "none"}


def cube(
    path: str | os.PathLike[str],
    imag: str | os.PathLike[str] | None = None,
    *,
    orbital: int | None = None,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> CubeField:
    """ψ in a Gaussian cube file, or in two: real part, and imaginary part of the same grid.

    `orbital`: which one, by its number, of a file that holds several. `dims`: which axes of
    the file are x, y, z, by default these. The grid is that of the file, in bohr; ångström are
    converted. The values are taken as they are (a.u.). Opening reads the file once, to see
    where its numbers are and that none is missing. Raises InvalidInput if a file cannot be
    used, or the two are of other grids.
    """
    names = [os.fspath(one) for one in (path, imag) if one is not None]
    with opening(*names, format="Gaussian cube") as opened_:
        headers, parts = [], []
        for name in names:
            file = opened_.keep.enter_context(opened(name))
            header = read_cube_header(file, name)
            headers.append(header)
            parts.append(_variable(name, file, header, orbital))
        _check_alike(headers, names)
        place = "" if orbital is None else f":mo={orbital}"
        found = field_of(
            parts,
            spec=",".join(name + place for name in names),
            format="Gaussian cube",
            files=opened_.files,
            release=opened_.keep.close,
            dims=dims,
            box=box,
            dt=dt,
        )
        return CubeField(
            **{name: getattr(found, name) for name in Field.__dataclass_fields__}, atoms=headers[0].atoms
        )


def _check_alike(headers: Sequence[CubeHeader], names: Sequence[str]) -> None:
    """Raises InvalidInput if the two files of a pair are of other grids."""
    for a, b in pairwise(headers):
        if (a.shape, a.origin, a.steps) != (b.shape, b.origin, b.steps):
            raise InvalidInput(f"{names[0]} and {names[1]} have unequal grids: {_grid(a)}, and {_grid(b)}")


def _grid(header: CubeHeader) -> str:
    return f"{'×'.join(map(str, header.shape))} from {header.origin} in steps of {header.steps}"


def _coordinate(header: CubeHeader, axis: int) -> Coordinate:
    origin, step = header.origin[axis], header.steps[axis]
    points = origin + step * np.arange(header.shape[axis])
    return Coordinate(values=points, unit="bohr", stated=(origin, step))


def read_cube_header(file: FileIO, name: str) -> CubeHeader:
    """The header of a cube file. Raises InvalidInput if it is none."""
    lines = _Lines(file=file, name=name)
    lines.take()
    lines.take()
    atoms, *origin = lines.numbers(4)
    rows = [lines.numbers(4) for _ in range(3)]
    counts = [row[0] for row in rows]
    if any(n != int(n) or n == 0 for n in counts) or atoms != int(atoms) or abs(atoms) > ATOMS:
        raise InvalidInput(
            f"{name} has a damaged cube header: its numbers of atoms and voxels are no whole numbers"
        )
    if len({n > 0 for n in counts}) > 1:
        raise InvalidInput(f"{name}: some of its numbers of voxels are negative: bohr or ångström?")
    scale = 1.0 if counts[0] > 0 else ANGSTROM
    for axis, row in enumerate(rows):
        edge = row[1:]
        if edge[axis] <= 0 or any(edge[other] != 0 for other in range(3) if other != axis):
            raise InvalidInput(
                f"{name}: its voxels do not lie along x, y and z, upwards: the edge {axis + 1} is {edge}"
            )
    listed = atoms < 0 or (atoms > 0 and lines.at_atom())
    found = [lines.numbers(5) for _ in range(abs(int(atoms)) if listed else 0)]
    orbitals: list[int] = []
    if atoms < 0:
        words = lines.some()
        while len(words) < 1 + max(0, int(words[0])):
            words += lines.some()
        orbitals = [int(word) for word in words[1:]]
        if len(orbitals) != int(words[0]) or not orbitals:
            raise InvalidInput(f"{name} says {int(words[0])} orbitals, but numbers {len(orbitals)}")
    x, y, z = (abs(int(n)) for n in counts)
    table = np.array(found, np.float64).reshape(-1, 5)
    table[:, 2:] *= scale
    return CubeHeader(
        shape=(x, y, z),
        origin=(origin[0] * scale, origin[1] * scale, origin[2] * scale),
        steps=(rows[0][1] * scale, rows[1][2] * scale, rows[2][3] * scale),
        atoms=table,
        orbitals=tuple(orbitals),
        begin=file.tell(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """The lines of a header."""

    file: FileIO
    name: str

    def take(self) -> bytes:
        here = self.file.tell()
        line, end, _ = self.file.read(LINE).partition(b"\n")
        if not end:
            raise InvalidInput(f"{self.name} is no cube file: its header is cut short")
        self.file.seek(here + len(line) + 1)
        return line

    def some(self) -> list[float]:
        """The numbers of a line."""
        line = self.take()
        try:
            words = [float(word) for word in line.split()]
        except ValueError as error:
            raise InvalidInput(f"{self.name} is no cube file: {line[:60]!r} is not numbers") from error
        if not words or not np.isfinite(words).all():
            raise InvalidInput(f"{self.name} is no cube file: {line[:60]!r} is in its header")
        return words

    def at_atom(self) -> bool:
        """Whether an atom comes next: five numbers, of which the first is whole. Psi4 may state atoms and list none."""
        here = self.file.tell()
        words = self.take().split()
        self.file.seek(here)
        return len(words) == 5 and words[0].isdigit()

    def numbers(self, count: int) -> list[float]:
        """Exactly so many; Gaussian may write a fifth, the number of values at a voxel, which must be 1."""
        words = self.some()
        if len(words) == 5 and count == 4 and words[4] == 1:
            words.pop()
        if len(words) != count:
            raise InvalidInput(
                f"{self.name} is no cube file: {len(words)} numbers where its header has {count}"
            )
        return words


def _variable(name: str, file: FileIO, header: CubeHeader, orbital: int | None) -> Variable:
    held = max(1, len(header.orbitals))
    if orbital is not None and orbital not in header.orbitals:
        has = f"it has {', '.join(map(str, header.orbitals))}" if header.orbitals else "it holds no orbitals"
        raise InvalidInput(f"{name} has no orbital {orbital}: {has}")
    if orbital is None and held > 1:
        raise InvalidInput(
            f"{name} holds {held} orbitals: choose one, {name}:mo={header.orbitals[0]}, of "
            f"{', '.join(map(str, header.orbitals))}"
        )
    chosen = 0 if orbital is None else header.orbitals.index(orbital)
    x, y, z = header.shape
    marks = _marks(file, name, header.begin, x * y * z * held)
    values = CubeValues(file=file, name=name, shape=header.shape, held=held, chosen=chosen, marks=marks)
    return Variable(
        what=name if orbital is None else f"{name}:mo={orbital}",
        shape=header.shape,
        dtype=np.dtype(np.float64),
        read=values.read,
        names=("x", "y", "z"),
        chunk=(1, y, z),
        coordinates={axis: _coordinate(header, axis) for axis in range(3)},
        member="" if orbital is None else f"mo={orbital}",
    )


def _marks(file: FileIO, name: str, begin: int, expected: int) -> NDArray[np.int64]:
    """The byte at which every MARK-th number begins, and the end. Raises InvalidInput unless there are `expected`."""
    file.seek(begin)
    marks: list[NDArray[np.int64]] = []
    seen, place, blank = 0, begin, True
    while data := file.read(BLOCK):
        gap = _BLANK[np.frombuffer(data, np.uint8)]
        starts = np.flatnonzero(np.concatenate(([blank], gap[:-1])) & ~gap)
        marks.append(starts[-seen % MARK :: MARK] + place)
        seen += len(starts)
        place += len(data)
        blank = bool(gap[-1])
    if seen != expected:
        fault = "is cut short" if seen < expected else "goes on after its values"
        raise InvalidInput(f"{name} {fault}: {seen} numbers, where its header says {expected}")
    return np.append(np.concatenate(marks), place)


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeValues:
    """The values of a cube: of `held` at each voxel the one at `chosen`."""

    file: FileIO
    name: str
    shape: tuple[int, int, int]
    held: int
    chosen: int
    marks: NDArray[np.int64] = field(repr=False)

    def read(self, slices: Slices) -> NDArray[np.float64]:
        """A block: the planes of x that it is in are read whole."""
        x, y, z = slices
        plane = self.shape[1] * self.shape[2]
        planes = self._between(x.start * plane * self.held, x.stop * plane * self.held)
        return planes.reshape(-1, *self.shape[1:], self.held)[:, y, z, self.chosen]

    def _between(self, start: int, stop: int) -> NDArray[np.float64]:
        """The numbers start … stop−1 of the file, read from the mark before them to the one after."""
        first, last = start // MARK, -(-stop // MARK)
        begin, end = int(self.marks[first]), int(self.marks[last])
        self.file.seek(begin)
        data = self.file.read(end - begin)
        words = (
            data.replace(b"D", b"E").replace(b"d", b"e").split()[start - first * MARK : stop - first * MARK]
        )
        try:
            numbers: NDArray[Any] = np.array(words, np.bytes_).astype(np.float64)
        except ValueError as error:
            raise InvalidInput(
                f"{self.name} holds something among its numbers {start} to {stop} that is none"
            ) from error
        if len(numbers) != stop - start:
            raise InvalidInput(f"{self.name} was cut short while it was read")
        return numbers
