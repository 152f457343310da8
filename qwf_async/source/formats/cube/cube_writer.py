"""Writing Gaussian cube files: text with six digits, in bohr; real part and imaginary part are two files.

Format: see `cube_header`. A file holds one time, and no atoms are known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from ....errors import InvalidInput
from ....lattice.grid import Box, Grid
from ....wording import option
from ..writing import ExportHeader, WriteBox

NUMBERS_A_LINE: Final = 6
"""As in Gaussian's own files."""


@contextmanager
def cube_files(paths: Sequence[Path], header: ExportHeader) -> Iterator[WriteBox]:
    """New files: of one the real part, where the imaginary part must be 0; of two both.

    Raises InvalidInput for more than one time, an axis of unknown spacing, or, when
    written, an imaginary part that is not 0 with no file to hold it.
    """
    head = _head(header)
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for file, part in zip(files, ("real part", "imaginary part"), strict=False):
            file.write(f"{header.title}\n{part}, z fastest, bohr\n".encode() + head)

        def write(box: Box, values: NDArray[Any]) -> None:
            if len(files) == 1 and values.imag.any():
                raise InvalidInput(
                    "ψ is complex and a cube file holds real numbers: name two files, re.cube,im.cube"
                )
            for file, numbers in zip(files, (values.real, values.imag), strict=False):
                _write_rows(file, box, numbers, header.grid.shape[3])

        yield write


def check_cube(grid: Grid) -> None:
    """Raises InvalidInput if a grid cannot be that of a cube file."""
    if grid.shape[0] > 1:
        raise InvalidInput(
            f"a cube file holds one time, and there are {grid.shape[0]}: choose one by {option('frame')}"
        )
    for name, size, axis in zip("xyz", grid.shape[1:], grid.axes[1:], strict=True):
        if size > 1 and axis.step is None:
            raise InvalidInput(
                f"a cube file needs the spacing along {name}, which is not known: ingest it with {option('box')}"
            )


def _head(header: ExportHeader) -> bytes:
    """Number of atoms (none) and origin, then for each axis its number of voxels and their edge, in bohr."""
    lines = []
    axes = header.grid.in_atomic_units().axes[1:]
    # A cube file needs a step for each axis: 1 for an axis of one point that has none.
    lattice = [(axis.origin, 1.0 if axis.step is None else axis.step) for axis in axes]
    lines.append((0, *(origin for origin, _ in lattice)))
    for number, (size, (_, step)) in enumerate(zip(header.grid.shape[1:], lattice, strict=True)):
        lines.append((size, *(step if other == number else 0.0 for other in range(3))))
    # With all 17 digits the grid is read back to the last bit.
    return b"".join(b"%5d %.17g %.17g %.17g\n" % line for line in lines)


def _write_rows(file: BinaryIO, box: Box, numbers: NDArray[Any], whole: int) -> None:
    """The next numbers in C order; a row along z begins on a line of its own, and can come in several boxes.

    `numbers` are [t, x, y, z], t = 1; `whole` is the length of a whole row.
    """
    _, _, _, start = box.start
    # [x·y, z]: a box holds rows of the same length, which all begin at the same z.
    rows = np.ascontiguousarray(numbers, np.float64).reshape(-1, box.shape[3])
    form = b"".join(
        b" %12.5E" + (b"\n" if (i + 1) % NUMBERS_A_LINE == 0 or i + 1 == whole else b"")
        for i in range(start, start + rows.shape[1])
    )
    file.write((form * len(rows)) % tuple(rows.reshape(-1).tolist()))
