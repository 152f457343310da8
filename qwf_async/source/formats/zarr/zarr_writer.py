"""Writing Zarr directories, version 3: a group with the array `psi` and an array for each known axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ....lattice.grid import AXIS_NAMES, Box
from ....optional import library
from ..mass_attribute import mass_attribute
from ..writing import ExportHeader, WriteBox, blocks, known_axes


@contextmanager
def zarr_directory(paths: Sequence[Path], header: ExportHeader) -> Iterator[WriteBox]:
    """A new directory. Nothing is compressed: that makes amplitudes hardly smaller, and takes longer than writing."""
    (path,) = paths
    zarr = library("zarr", extra="zarr", what="writing Zarr")
    group = zarr.open_group(path, mode="w", zarr_format=3, attributes={"title": header.title})
    for axis in known_axes(header.grid):
        coordinate = group.create_array(
            axis.name,
            shape=axis.points.shape,
            dtype=axis.points.dtype,
            compressors=None,
            dimension_names=(axis.name,),
            attributes=axis.attributes,
        )
        coordinate[...] = axis.points
    psi = group.create_array(
        "psi",
        shape=header.grid.shape,
        dtype=header.dtype,
        chunks=blocks(header.grid.shape),
        compressors=None,
        dimension_names=AXIS_NAMES,
        attributes=mass_attribute(header.grid),
    )

    def write(box: Box, values: NDArray[Any]) -> None:
        psi[box.slices] = values

    yield write
