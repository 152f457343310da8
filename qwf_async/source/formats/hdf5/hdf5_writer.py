"""Writing HDF5 files: the data set `psi`, a compound {r, i}, with a dimension scale for each known axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ....lattice.grid import AXIS_NAMES, Box
from ....optional import library
from ..mass_attribute import mass_attribute
from ..writing import ExportHeader, WriteBox, known_axes


@contextmanager
def hdf5_file(paths: Sequence[Path], header: ExportHeader) -> Iterator[WriteBox]:
    """A new file. The values are in one piece, without blocks: they are written, and read again, in order."""
    (path,) = paths
    h5py = library("h5py", extra="files", what="writing HDF5")
    with h5py.File(path, "w") as file:
        psi = file.create_dataset("psi", shape=header.grid.shape, dtype=header.dtype)
        psi.attrs.update({"title": header.title, **mass_attribute(header.grid)})
        for number, name in enumerate(AXIS_NAMES):
            psi.dims[number].label = name
        for axis in known_axes(header.grid):
            scale = file.create_dataset(axis.name, data=axis.points)
            scale.attrs.update(axis.attributes)
            scale.make_scale(axis.name)
            psi.dims[axis.number].attach_scale(scale)

        def write(box: Box, values: NDArray[Any]) -> None:
            psi[box.slices] = values

        yield write
