"""The synchronous face, for scripts and notebooks. Users import it as `qwf_async.open`."""

from __future__ import annotations

from .store import Store, open  # noqa: A004 # as users know it from zarr and h5py: qwf.open
from .wavefunction import Wavefunction
from .writing import FrameWriter

plot = Wavefunction.plot

__all__ = ["FrameWriter", "Store", "Wavefunction", "open", "plot"]
