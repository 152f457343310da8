"""Wavefunctions in Gaussian cube files, which are text: one real function, or a pair for real and imaginary part.

Format: see `cube_header`; then the values, z fastest, all values of a voxel together. Not
covered: voxels whose edges do not lie along x, y and z.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import FileIO
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ....checked import checked
from ....errors import InvalidInput
from ..contiguous import opened
from ..member_choice import SHOWN
from ..open_files import open_files
from ..variable import Coordinate, Slices, Variable
from ..variable_source import VariableSource, variable_source
from .cube_header import NOISE, CubeHeader, read_cube_header, with_letter

BLOCK: Final = 1 << 20
"""Bytes that are looked through at a time."""

MARK: Final = 65_536
"""Numbers from one remembered place in the file to the next."""

_BLANK: Final = np.zeros(256, np.bool_)
_BLANK[list(b" \t\n\r\v\f")] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeSource(VariableSource):
    """A `VariableSource` that knows the atoms of its file.

    `atoms`: atomic number, charge, and x, y, z in bohr of each, float64 [atoms, 5].
    """

    atoms: NDArray[np.float64] = field(repr=False, default_factory=lambda: np.empty((0, 5)))

    def understood(self) -> Mapping[str, str]:
        words = [
            f"Z={z:.0f} at ({x:.4g}, {y:.4g}, {w:.4g})"
            if np.isfinite([z, x, y, w]).all()
            else "not understood"
            for z, _, x, y, w in self.atoms[:10].tolist()
        ]
        more = ", …" if len(self.atoms) > 10 else ""
        return {**VariableSource.understood(self), "atoms": ", ".join(words) + more or "none"}


@checked
def cube(
    path: str | os.PathLike[str],
    imag: str | os.PathLike[str] | None = None,
    *,
    orbital: int | None = None,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> CubeSource:
    """ψ in a Gaussian cube file, or in two: real part, and imaginary part of the same grid.

    `orbital`: which one, by its number, of a file that holds several; of one that holds several
    other values at a voxel which of them, from 1. `dims`: which axes of
    the file are x, y, z, by default these. The grid is that of the file, in bohr; ångström are
    converted. The values are taken as they are (a.u.). Opening reads the file once, to see
    where its numbers are and that none is missing. Raises InvalidInput if a file cannot be
    used, or the two are of other grids.
    """
    names = [os.fspath(one) for one in (path, imag) if one is not None]
    with open_files(*names, format="Gaussian cube") as opened_:
        headers, parts = [], []
        for name, path_ in zip(names, opened_.paths, strict=True):
            file = opened_.keep.enter_context(opened(path_))
            header, marks = _placed(file, name)
            headers.append(header)
            parts.append(_variable(name, file, header, marks, orbital))
        _check_alike(headers, names)
        place = "" if orbital is None else f":mo={orbital}"
        found = variable_source(
            parts,
            spec=",".join(name + place for name in names),
            format="Gaussian cube",
            files=opened_.files,
            release=opened_.keep.close,
            dims=dims,
            box=box,
            dt=dt,
        )
        return CubeSource(
            **{name: getattr(found, name) for name in VariableSource.__dataclass_fields__},
            atoms=headers[0].atoms,
        )


def _check_alike(headers: Sequence[CubeHeader], names: Sequence[str]) -> None:
    """Raises InvalidInput if the two files of a pair are of other grids."""
    for a, b in pairwise(headers):
        allowed = NOISE * np.array(a.steps)
        off = np.abs(np.subtract((a.origin, a.steps), (b.origin, b.steps)))
        if a.shape != b.shape or (off > allowed).any():
            raise InvalidInput(f"{names[0]} and {names[1]} have unequal grids: {_grid(a)}, and {_grid(b)}")


def _grid(header: CubeHeader) -> str:
    return f"{'×'.join(map(str, header.shape))} from {header.origin} in steps of {header.steps}"


def _coordinate(header: CubeHeader, axis: int) -> Coordinate:
    origin, step = header.origin[axis], header.steps[axis]
    points = origin + step * np.arange(header.shape[axis])
    return Coordinate(values=points, unit="bohr", stated=(origin, step))


def _placed(file: FileIO, name: str) -> tuple[CubeHeader, NDArray[np.int64]]:
    """The header, and the marks of the values. Raises InvalidInput unless there are as many as it says."""
    header = read_cube_header(file, name)
    expected = math.prod(header.shape) * len(header.numbers)
    seen, marks = _marks(file, header.begin)
    if header.atoms_at is not None and seen + header.atom_words == expected:
        # Atoms are stated and none listed: what was taken for them are the first values.
        header = replace(header, begin=header.atoms_at, atoms=np.empty((0, 5)))
        seen, marks = _marks(file, header.begin)
    if seen != expected:
        fault = "is cut short" if seen < expected else "goes on after its values"
        raise InvalidInput(f"{name} {fault}: {seen} numbers, where its header says {expected}")
    return header, marks


def _variable(
    name: str, file: FileIO, header: CubeHeader, marks: NDArray[np.int64], orbital: int | None
) -> Variable:
    what = "orbital" if header.orbitals else "value"
    held, listed = len(header.numbers), ", ".join(map(str, header.numbers[:SHOWN]))
    listed += ", …" if held > SHOWN else ""
    if orbital is None and held > 1:
        raise InvalidInput(
            f"{name} holds {held} {what}s{'' if header.orbitals else ' at a voxel'}: choose one, "
            f"{name}:mo={header.numbers[0]}, of {listed}"
        )
    if orbital is not None and orbital not in header.numbers:
        raise InvalidInput(f"{name} has no {what} {orbital}: it has {listed}")
    chosen = 0 if orbital is None else header.numbers.index(orbital)
    y, z = header.shape[1:]
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


def _marks(file: FileIO, begin: int) -> tuple[int, NDArray[np.int64]]:
    """How many numbers there are from byte `begin` on; where every MARK-th of them begins, and the end."""
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
    return seen, np.append(np.concatenate(marks), place) if marks else np.array([place])


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
        words = np.array(
            data.replace(b"D", b"E").replace(b"d", b"e").split()[start - first * MARK : stop - first * MARK],
            np.bytes_,
        )
        try:
            numbers = _numbers(words)
        except ValueError as error:
            raise InvalidInput(
                f"{self.name} holds something among its numbers {start} to {stop} that is none"
            ) from error
        if len(numbers) != stop - start:
            raise InvalidInput(f"{self.name} was cut short while it was read")
        return numbers


def _numbers(words: NDArray[np.bytes_]) -> NDArray[np.float64]:
    """The numbers that words stand for. Raises ValueError if one of them is none.

    Exponents without their letter are looked for only where numpy cannot read the words.
    """
    try:
        return words.astype(np.float64)
    except ValueError:
        letters = words.view(np.uint8).reshape(len(words), -1)
        signs = (letters[:, 1:] == ord("+")) | (letters[:, 1:] == ord("-"))
        (bare,) = np.nonzero((signs & (letters[:, :-1] <= ord("9"))).any(axis=1))
        mended = words.astype(f"S{words.itemsize + 1}")
        mended[bare] = [with_letter(word) for word in words[bare].tolist()]
        return mended.astype(np.float64)
