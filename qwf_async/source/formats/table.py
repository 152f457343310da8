"""The formats of files that are read and written: to add one is to write its module and a line here."""

from __future__ import annotations

from typing import Final

from .cube.cube import CUBE
from .format import Format, FormatWriter
from .hdf5.hdf5 import HDF5
from .netcdf.netcdf import NETCDF
from .npy import NPY
from .npz.npz import NPZ
from .raw.raw import RAW
from .zarr.zarr import ZARR

FORMATS: Final[dict[str, Format]] = {
    format_.name: format_ for format_ in (NPY, NPZ, HDF5, ZARR, NETCDF, CUBE, RAW)
}
"""The formats by their names, in the order in which messages list them and contents are compared with them."""


def writers() -> dict[str, FormatWriter]:
    """The formats that can be written, by their names."""
    return {name: format_.writer for name, format_ in FORMATS.items() if format_.writer is not None}


def usual_endings() -> list[str]:
    """The usual ending of each format, with its dot."""
    return [format_.endings[0] for format_ in FORMATS.values()]


def by_ending(ending: str) -> Format | None:
    """The format whose files end so, in letters of any size; None if there is none."""
    return next((format_ for format_ in FORMATS.values() if ending.lower() in format_.endings), None)
