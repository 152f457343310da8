"""Where ψ comes from. Offered to users as `qwf_async.sources`."""

from __future__ import annotations

from .array import array
from .base import Source
from .callable import function
from .cube import cube
from .evolve import evolve, read_potential
from .free import gaussian, plane
from .hdf5 import hdf5
from .hydrogen import hydrogen
from .netcdf import netcdf
from .npy import npy
from .npz import npz
from .oscillator import coherent, harmonic
from .raw import raw
from .state import qobj, statevector
from .text import default_name, open_source
from .well import box
from .zarr_array import zarr

__all__ = [
    "Source",
    "array",
    "box",
    "coherent",
    "cube",
    "default_name",
    "evolve",
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
