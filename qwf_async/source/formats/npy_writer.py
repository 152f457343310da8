"""Writing `.npy` files, and raw ones of the numbers alone: ψ[t, x, y, z] in C order."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...lattice.grid import Box
from .writing import ExportHeader, Write


@contextmanager
def npy_file(path: Path, sheet: ExportHeader) -> Iterator[Write]:
    """A new file. Raises OSError if there is no room for it."""
    array = mapped(path, sheet.grid.shape, sheet.dtype)
    yield partial(_write, array)
    array.flush()


@contextmanager
def raw_file(path: Path, sheet: ExportHeader) -> Iterator[Write]:
    """A new file of the numbers and nothing else, little-endian. Raises OSError if there is no room for it."""
    array = np.memmap(path, sheet.dtype.newbyteorder("<"), "w+", shape=sheet.grid.shape)
    _take_space(path)
    yield partial(_write, array)
    array.flush()


def mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.memmap[Any, Any]:
    """A new `.npy` file as an array. Raises OSError if there is no room for it."""
    array: np.memmap[Any, Any] = np.lib.format.open_memmap(path, "w+", dtype, shape)
    _take_space(path)
    return array


def _take_space(path: Path) -> None:
    """Take the space of a file at once: a disk that fills up later would be a fatal signal."""
    if sys.platform == "linux":
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _write(array: np.memmap[Any, Any], box: Box, values: NDArray[Any]) -> None:
    array[box.slices] = values
