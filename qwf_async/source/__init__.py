"""The sources of ψ: states, eigenstates, arrays, functions, files, evolutions. Import it as `qwf_async.sources`."""

from __future__ import annotations

from .analytic import box, coherent, gaussian, harmonic, hydrogen, plane
from .array import array
from .base import Source
from .callable import function
from .evolve import evolve, read_potential
from .formats.cube.cube import cube
from .formats.files import files
from .formats.hdf5.hdf5 import hdf5
from .formats.netcdf.netcdf import netcdf
from .formats.npy import npy
from .formats.npz.npz import npz
from .formats.raw.raw import raw
from .formats.zarr.zarr import zarr
from .register import qobj, statevector
from .source_of import source_of
from .stationary import eigen
from .text import default_name, open_source

__all__ = [
    "Source",
    "array",
    "box",
    "coherent",
    "cube",
    "default_name",
    "eigen",
    "evolve",
    "files",
    "function",
    "gaussian",
    "harmonic",
    "hdf5",
    "hydrogen",
    "netcdf",
    "npy",
    "npz",
    "open_source",
    "plane",
    "qobj",
    "raw",
    "read_potential",
    "source_of",
    "statevector",
    "zarr",
]
