"""Where ψ comes from. Offered to users as `qwf_async.sources`."""

from __future__ import annotations

from .analytic.free import gaussian, plane
from .analytic.hydrogen import hydrogen
from .analytic.oscillator import coherent, harmonic
from .analytic.well import box
from .array import array
from .base import Source
from .callable import function
from .evolve import evolve, read_potential
from .file.cube import cube
from .file.dispatch import files
from .file.hdf5 import hdf5
from .file.netcdf import netcdf
from .file.npy import npy
from .file.npz import npz
from .file.raw import raw
from .file.zarr_array import zarr
from .state import qobj, statevector
from .text import default_name, open_source

__all__ = [
    "Source",
    "array",
    "box",
    "coherent",
    "cube",
    "default_name",
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
    "statevector",
    "zarr",
]
