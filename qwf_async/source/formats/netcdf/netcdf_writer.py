"""Writing NetCDF-4 files: the variables `psi_re` and `psi_im`, since NetCDF has no complex numbers, and their axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....lattice.grid import AXIS_NAMES, Box
from ....optional import library
from ..mass_attribute import mass_attribute
from ..writing import ExportHeader, WriteBox, known_axes


@contextmanager
def netcdf_file(paths: Sequence[Path], header: ExportHeader) -> Iterator[WriteBox]:
    """A new file by the CF conventions, as far as they go: coordinates have their units."""
    (path,) = paths
    h5netcdf = library("h5netcdf", extra="files", what="writing NetCDF")
    kind = np.dtype(np.float32 if header.dtype == np.complex64 else np.float64)
    with h5netcdf.File(path, "w") as file:
        file.dimensions = dict(zip(AXIS_NAMES, header.grid.shape, strict=True))
        file.attrs["title"] = header.title
        for axis in known_axes(header.grid):
            coordinate = file.create_variable(axis.name, (axis.name,), data=axis.points)
            coordinate.attrs.update(axis.attributes)
        re, im = (file.create_variable(f"psi_{part}", AXIS_NAMES, dtype=kind) for part in ("re", "im"))
        re.attrs.update(mass_attribute(header.grid))

        def write(box: Box, values: NDArray[Any]) -> None:
            re[box.slices], im[box.slices] = values.real, values.imag

        yield write
