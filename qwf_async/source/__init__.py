"""Where ψ comes from. Offered to users as `qwf_async.sources`."""

from __future__ import annotations

from .array import array
from .base import Source
from .callable import function
from .free import gaussian, plane
from .hydrogen import hydrogen
from .npy import npy
from .oscillator import coherent, harmonic
from .text import default_name, open_source
from .well import box

__all__ = [
    "Source",
    "array",
    "box",
    "coherent",
    "default_name",
    "function",
    "gaussian",
    "harmonic",
    "hydrogen",
    "npy",
    "open_source",
    "plane",
]
