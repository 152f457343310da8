"""What comes before the values of a Gaussian cube file.

Format: Gaussian 16, utility `cubegen` (gaussian.com/cubegen). In order:

- two lines of comment;
- number of atoms, origin, and perhaps the number of values at a voxel;
- for each axis its number of voxels and their edge: in bohr, or in ångström if the numbers of
  voxels are negative;
- the atoms;
- if the number of atoms is negative: how many orbitals follow, and their numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import FileIO
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ....errors import InvalidInput
from ....lattice.units import ANGSTROM

MAX_COUNT: Final = 1_000_000
"""Atoms, or values at a voxel, that a header can state."""

MAX_HEADER_LINE: Final = 10_000
"""Characters of a line of the header."""

NOISE: Final = 1e-6
"""The part of a voxel's edge that can point across its axis: programs rotate cells, and round to six digits."""

_BARE: Final = re.compile(rb"([0-9.])([+-][0-9]{3})")


def number(word: bytes) -> float:
    """A number as Fortran and C write it: 1.5E-10, 1.5D-10, or 1.5-101, whose exponent has three digits.

    Raises ValueError if it is none. Source: Fortran 2018 (ISO/IEC 1539-1), 13.7.2.3.3: in the
    form Ew.d an exponent of three digits has no letter.
    """
    return float(with_letter(word.replace(b"D", b"E").replace(b"d", b"e")))


def with_letter(word: bytes) -> bytes:
    """The same word with an E before an exponent of three digits that has no letter."""
    return _BARE.sub(rb"\1E\2", word) if word[-4:-3] in (b"+", b"-") else word


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeHeader:
    """The header. Lengths in bohr.

    `atoms`: atomic number, charge, and x, y, z of each, float64 [atoms, 5], NaN where a line says
    something else. `numbers` are those by which the values at a voxel are chosen: the numbers of
    the orbitals if it holds `orbitals`, else 1, 2, …; a plain cube has one. The values begin at
    byte `begin`. The `atom_words` words from byte `atoms_at` on were read as atoms and can be
    values in truth; `atoms_at` is None if they can only be atoms.
    """

    shape: tuple[int, int, int]
    origin: tuple[float, float, float]
    steps: tuple[float, float, float]
    atoms: NDArray[np.float64] = field(repr=False)
    numbers: tuple[int, ...]
    orbitals: bool
    begin: int
    atoms_at: int | None
    atom_words: int


def read_cube_header(file: FileIO, name: str) -> CubeHeader:
    """The header of a cube file. Raises InvalidInput if it is none."""
    lines = _HeaderLines(file=file, name=name)
    lines.take()
    lines.take()
    atoms, *origin, values = lines.first()
    rows = [lines.row() for _ in range(3)]
    shape, scale, steps = _voxels(name, rows)
    listed = lines.atoms(abs(int(atoms)), sure=atoms < 0)
    numbers = tuple(range(1, values + 1))
    if atoms < 0:
        numbers = lines.orbitals()
        if values not in (1, len(numbers)):
            raise InvalidInput(f"{name} says {values} values at a voxel, but numbers {len(numbers)} orbitals")
    table = np.array(listed.rows, np.float64).reshape(-1, 5)
    table[:, 2:] *= scale
    x, y, z = origin
    return CubeHeader(
        shape=shape,
        origin=(x * scale, y * scale, z * scale),
        steps=steps,
        atoms=table,
        numbers=numbers,
        orbitals=atoms < 0,
        begin=file.tell(),
        atoms_at=listed.at,
        atom_words=listed.words,
    )


def _voxels(
    name: str, rows: Sequence[Sequence[float]]
) -> tuple[tuple[int, int, int], float, tuple[float, float, float]]:
    """Numbers of voxels, the unit in bohr, and the steps in bohr. Raises InvalidInput if they are no such grid."""
    counts = [row[0] for row in rows]
    if any(n != int(n) or n == 0 for n in counts):
        raise InvalidInput(f"{name} has a damaged cube header: its numbers of voxels are no whole numbers")
    if len({n > 0 for n in counts}) > 1:
        raise InvalidInput(f"{name}: some of its numbers of voxels are negative: bohr or ångström?")
    for axis, row in enumerate(rows):
        edge = row[1:]
        across = max(abs(length) for other, length in enumerate(edge) if other != axis)
        if not edge[axis] > 0 or across > NOISE * edge[axis]:
            raise InvalidInput(
                f"{name}: its voxels do not lie along x, y and z, upwards: the edge {axis + 1} is {edge}"
            )
    x, y, z = (abs(int(n)) for n in counts)
    scale = 1.0 if counts[0] > 0 else ANGSTROM
    return (x, y, z), scale, (rows[0][1] * scale, rows[1][2] * scale, rows[2][3] * scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Atoms:
    """The rows of the atoms, [atom, 5 numbers]; first byte `at` and number of `words` if they can be values."""

    rows: Sequence[Sequence[float]]
    at: int | None = None
    words: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _HeaderLines:
    """The lines of a header, taken one after another."""

    file: FileIO
    name: str

    def take(self) -> bytes:
        """The next line. Raises InvalidInput if the file ends in it."""
        here = self.file.tell()
        line, end, _ = self.file.read(MAX_HEADER_LINE).partition(b"\n")
        if not end:
            raise InvalidInput(f"{self.name} is no cube file: its header is cut short")
        self.file.seek(here + len(line) + 1)
        return line

    def numbers(self) -> list[float]:
        """The numbers of the next line. Raises InvalidInput if it holds something else."""
        line = self.take()
        try:
            words = [number(word) for word in line.split()]
        except ValueError as error:
            raise InvalidInput(f"{self.name} is no cube file: {line[:60]!r} is not numbers") from error
        if not words or not np.isfinite(words).all():
            raise InvalidInput(f"{self.name} is no cube file: {line[:60]!r} is in its header")
        return words

    def first(self) -> tuple[float, float, float, float, int]:
        """Number of atoms, x, y, z of the origin, and the number of values at a voxel, which is 1 if it is not said."""
        words = self.numbers()
        if len(words) not in (4, 5):
            raise InvalidInput(
                f"{self.name} is no cube file: {len(words)} numbers where its header has 4 or 5"
            )
        atoms, x, y, z, values = (*words, 1.0)[:5]
        whole = atoms == int(atoms) and values == int(values)
        if not (whole and abs(atoms) <= MAX_COUNT and 1 <= values <= MAX_COUNT):
            raise InvalidInput(
                f"{self.name} has a damaged cube header: its numbers of atoms and values are {atoms:g} and {values:g}"
            )
        return atoms, x, y, z, int(values)

    def row(self) -> list[float]:
        """Number of voxels and edge of an axis; some programs write a fifth number, 1."""
        words = self.numbers()
        if len(words) == 5 and words[4] == 1:
            words.pop()
        if len(words) != 4:
            raise InvalidInput(f"{self.name} is no cube file: {len(words)} numbers where its header has 4")
        return words

    def atoms(self, count: int, *, sure: bool) -> _Atoms:
        """The rows of `count` atoms, a line each.

        Unless they are `sure` to be there they can be missing: Psi4 can state atoms and list none.
        """
        here = self.file.tell()
        rows, words, like_values = [], 0, False
        for atom in range(count):
            try:
                line = self.take().split()
            except InvalidInput:
                if sure or not like_values:
                    raise
                self.file.seek(here)
                return _Atoms(rows=())
            row = [_number_or_nan(word) for word in line]
            if atom == 0:
                an_atom = len(row) == 5 and row[0] % 1 == 0
                like_values = not sure and not an_atom and bool(np.isfinite(row).all())
            words += len(row)
            rows.append(row if len(row) == 5 else [float("nan")] * 5)
        return _Atoms(rows=rows, at=here if like_values else None, words=words)

    def orbitals(self) -> tuple[int, ...]:
        """The numbers of the orbitals: how many there are, then the numbers, on any number of lines."""
        words = self.numbers()
        while len(words) < 1 + min(max(0, int(words[0])), MAX_COUNT):
            words += self.numbers()
        numbers = words[1:]
        if len(numbers) != words[0] or not numbers or any(number != int(number) for number in numbers):
            raise InvalidInput(f"{self.name} says {words[0]:g} orbitals, but numbers {len(numbers)}")
        return tuple(int(number) for number in numbers)


def _number_or_nan(word: bytes) -> float:
    """As `number`, NaN for a word that is none."""
    try:
        return number(word)
    except ValueError:
        return float("nan")
