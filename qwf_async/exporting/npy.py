"""Writing `.npy` files: ψ[t, x, y, z] in C order."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..grid import Box
from .sheet import Sheet, Write


@contextmanager
def npy_file(path: Path, sheet: Sheet) -> Iterator[Write]:
    """A new file. Raises OSError if there is no room for it."""
    array = mapped(path, sheet.grid.shape, sheet.dtype)

    def write(box: Box, values: NDArray[Any]) -> None:
        array[box.slices] = values

    yield write
    array.flush()


def mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.memmap[Any, Any]:
    """A new `.npy` file as an array. Its space is taken now: a disk that fills up later would be a fatal signal."""
    array: np.memmap[Any, Any] = np.lib.format.open_memmap(path, "w+", dtype, shape)
    if sys.platform == "linux":
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array
