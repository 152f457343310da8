"""Wavefunctions in Gaussian cube files, which are text: one real function, or a pair for real and imaginary part.

Format: see `cube_header`; then the values, z fastest, all values of a voxel together. Not
covered: voxels whose edges are not parallel to x, y and z.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import FileIO
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ....checked import checked
from ....errors import InvalidInput
from ..content import Content
from ..coordinate import Coordinate
from ..format import ChosenFile, Format, FormatWriter
from ..member_choice import MAX_SHOWN
from ..open_files import open_files
from ..regular_file import open_regular
from ..variable import Variable
from ..variable_source import VariableSource, variable_source
from .cube_header import NOISE, CubeHeader, read_cube_header
from .cube_values import CubeValues, find_marks
from .cube_writer import check_cube, cube_files

_NUMBER: Final = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eEdD]?[+-]?\d+)?")


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

    `orbital`: which one, by its number, of a file that holds several; of a file that holds
    several other values at a voxel which of them, from 1. `dims`: which axes of the file are x,
    y, z, by default these. The grid is that of the file, in bohr; ångström are converted. The
    values are taken as they are (a.u.). Opening reads the file once, to find its numbers and to
    see that none is missing. Raises InvalidInput if a file cannot be used, or if the two have
    unequal grids.
    """
    names = [os.fspath(name) for name in (path, imag) if name is not None]
    with open_files(*names, format="Gaussian cube") as opened:
        headers, parts = [], []
        for name, readable in zip(names, opened.paths, strict=True):
            file = opened.keep.enter_context(open_regular(readable))
            header, marks = _header_and_marks(file, name)
            headers.append(header)
            parts.append(_variable(name, file, header, marks, orbital))
        _check_alike(headers, names)
        suffix = "" if orbital is None else f":mo={orbital}"
        source = variable_source(
            parts,
            spec=",".join(name + suffix for name in names),
            format="Gaussian cube",
            files=opened.files,
            release=opened.keep.close,
            dims=dims,
            box=box,
            dt=dt,
        )
        return source.extended(CubeSource, atoms=headers[0].atoms)


def _check_alike(headers: Sequence[CubeHeader], names: Sequence[str]) -> None:
    """Raises InvalidInput if the two files of a pair have unequal grids."""
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


def _header_and_marks(file: FileIO, name: str) -> tuple[CubeHeader, NDArray[np.int64]]:
    """The header, and the marks of the values. Raises InvalidInput unless there are as many as the header says."""
    header = read_cube_header(file, name)
    expected = math.prod(header.shape) * len(header.numbers)
    count, marks = find_marks(file, header.begin)
    if header.atoms_at is not None and count + header.atom_words == expected:
        # The header states atoms and the file lists none: what was read as atoms are the first values.
        header = replace(header, begin=header.atoms_at, atoms=np.empty((0, 5)))
        count, marks = find_marks(file, header.begin)
    if count != expected:
        fault = "is cut short" if count < expected else "goes on after its values"
        raise InvalidInput(f"{name} {fault}: {count} numbers, where its header says {expected}")
    return header, marks


def _variable(
    name: str, file: FileIO, header: CubeHeader, marks: NDArray[np.int64], orbital: int | None
) -> Variable:
    noun = "orbital" if header.orbitals else "value"
    count, listed = len(header.numbers), ", ".join(map(str, header.numbers[:MAX_SHOWN]))
    listed += ", …" if count > MAX_SHOWN else ""
    if orbital is None and count > 1:
        raise InvalidInput(
            f"{name} holds {count} {noun}s{'' if header.orbitals else ' at a voxel'}: choose one, "
            f"{name}:mo={header.numbers[0]}, of {listed}"
        )
    if orbital is not None and orbital not in header.numbers:
        raise InvalidInput(f"{name} has no {noun} {orbital}: it has {listed}")
    chosen = 0 if orbital is None else header.numbers.index(orbital)
    y, z = header.shape[1:]
    values = CubeValues(file=file, name=name, shape=header.shape, held=count, chosen=chosen, marks=marks)
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


def _orbital(text: str, chosen: str | None) -> int | None:
    """The number in `mo=5`, None if nothing is chosen. Raises InvalidInput for anything else."""
    if chosen is None:
        return None
    key, _, value = chosen.partition("=")
    if key != "mo" or not re.fullmatch(r"-?[0-9]{1,9}", value):
        raise InvalidInput(f"{text}: {chosen!r} is no orbital: write :mo=5")
    return int(value)


def _read(path: str, chosen: str | None, **options: Any) -> CubeSource:
    return cube(path, orbital=_orbital(f"{path}:{chosen}", chosen), **options)


def _read_pair(re_: ChosenFile, im: ChosenFile, **options: Any) -> CubeSource:
    (first, chosen), (second, other) = re_, im
    text = ",".join(path if orbital is None else f"{path}:{orbital}" for path, orbital in (re_, im))
    if chosen != other:
        raise InvalidInput(f"{text}: of both files of a pair the same orbital, :mo=N, must be chosen")
    return cube(first, second, orbital=_orbital(text, chosen), **options)


def _recognises(content: Content) -> bool:
    """Whether the third to sixth line are of four numbers or more, of which the first is whole."""
    rows = [line.split() for line in content.head.split(b"\n")[2:6]]
    return len(rows) == 4 and all(
        len(row) >= 4 and row[0].lstrip(b"+-").isdigit() and all(map(_NUMBER.fullmatch, row)) for row in rows
    )


CUBE: Final = Format(
    name="cube",
    label="Gaussian cube",
    endings=(".cube", ".cub"),
    recognises=_recognises,
    is_text=True,
    read=_read,
    read_pair=_read_pair,
    writer=FormatWriter(endings=(".cube", ".cub"), open=cube_files, max_files=2, check=check_cube),
)
