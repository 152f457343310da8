"""Writing Zarr directories, version 3: a group with the array `psi` and an array for each known axis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ....lattice.grid import AXIS_NAMES, Box
from ....optional import library
from ..writing import ExportHeader, Write, blocks, known_axes


@contextmanager
def zarr_directory(path: Path, sheet: ExportHeader) -> Iterator[Write]:
    """A new directory. Nothing is compressed: amplitudes hardly can be, and it takes longer than the writing."""
    zarr = library("zarr", extra="zarr", what="writing Zarr")
    group = zarr.open_group(path, mode="w", zarr_format=3, attributes={"title": sheet.title})
    for axis in known_axes(sheet.grid):
        one = group.create_array(
            axis.name,
            shape=axis.points.shape,
            dtype=axis.points.dtype,
            compressors=None,
            dimension_names=(axis.name,),
            attributes=axis.attributes,
        )
        one[...] = axis.points
    psi = group.create_array(
        "psi",
        shape=sheet.grid.shape,
        dtype=sheet.dtype,
        chunks=blocks(sheet.grid.shape),
        compressors=None,
        dimension_names=AXIS_NAMES,
    )

    def write(box: Box, values: NDArray[Any]) -> None:
        psi[box.slices] = values

    yield write
