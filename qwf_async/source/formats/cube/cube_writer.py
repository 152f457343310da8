"""Writing Gaussian cube files: text with six digits, in bohr; real part and imaginary part are two files.

Format: see `source.cube`. It holds one time, and no atoms are known here.
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
from ..writing import ExportHeader, Write

NUMBERS_A_LINE: Final = 6


@contextmanager
def cube_files(paths: Sequence[Path], sheet: ExportHeader) -> Iterator[Write]:
    """New files: of one the real part, where the imaginary part must be 0; of two both.

    Raises InvalidInput for more than one time, an axis of unknown spacing, or, when
    written, an imaginary part that is not 0 with no file to hold it.
    """
    header = _header(sheet)
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for file, part in zip(files, ("real part", "imaginary part"), strict=False):
            file.write(f"{sheet.title}\n{part}, z fastest, bohr\n".encode() + header)

        def write(box: Box, values: NDArray[Any]) -> None:
            if len(files) == 1 and values.imag.any():
                raise InvalidInput(
                    "ψ is complex and a cube file holds real numbers: name two files, re.cube,im.cube"
                )
            for file, numbers in zip(files, (values.real, values.imag), strict=False):
                _write_rows(file, box, numbers, sheet.grid.shape[3])

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


def _header(sheet: ExportHeader) -> bytes:
    lines = []
    laid = sheet.grid.in_atomic_units().axes[1:]
    # No cube can be without a step: an axis of one point that has none gets one of 1.
    placed = [(axis.origin, 1.0 if axis.step is None else axis.step) for axis in laid]
    lines.append((0, *(origin for origin, _ in placed)))
    for number, (size, (_, step)) in enumerate(zip(sheet.grid.shape[1:], placed, strict=True)):
        lines.append((size, *(step if other == number else 0.0 for other in range(3))))
    # All 17 digits: others read what they need of them, and the grid comes back as it was.
    return b"".join(b"%5d %.17g %.17g %.17g\n" % line for line in lines)


def _write_rows(file: BinaryIO, box: Box, numbers: NDArray[Any], whole: int) -> None:
    """The next numbers in C order; a row along z begins on a line of its own, and may come in pieces."""
    _, _, _, start = box.start
    rows = np.ascontiguousarray(numbers, np.float64).reshape(-1, box.shape[3])
    form = b"".join(
        b" %12.5E" + (b"\n" if (i + 1) % NUMBERS_A_LINE == 0 or i + 1 == whole else b"")
        for i in range(start, start + rows.shape[1])
    )
    file.write((form * len(rows)) % tuple(rows.reshape(-1).tolist()))
