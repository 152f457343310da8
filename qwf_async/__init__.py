"""Load quantum wavefunctions into Redis or Valkey hashes, and get them back.

The public names are imported when they are first used, so that `qwf --help` loads neither
numpy nor redis.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not from typing: that takes 3 ms, in which Ctrl-C would be answered by a traceback
if TYPE_CHECKING:
    from typing import Any

    from . import dask, metrics, observables, study, sync
    from . import source as sources
    from .catalog.manifest import Manifest
    from .copying.backup import BackupReport, backup
    from .copying.copying import copy, move
    from .copying.restore import RestoreReport, restore
    from .dask.data_array import to_xarray
    from .errors import (
        DamagedData,
        DataLost,
        Interrupted,
        InvalidInput,
        OutOfMemory,
        QwfError,
        Refused,
        ReplayOwed,
        ServerUnavailable,
        UsageError,
    )
    from .exporting.export_file import export
    from .ingesting.estimation import Estimate, estimate
    from .ingesting.ingestion import ingest
    from .ingesting.report import Report
    from .ingesting.verification import Difference, Verification, verify
    from .lattice.grid import Axis, Box, Grid
    from .producing.begin import SharedLoad, begin
    from .producing.create import FrameWriter, create
    from .producing.target import Target
    from .producing.ticket import Ticket
    from .settings import Settings
    from .store.connecting import connect
    from .store.observed import Observed
    from .store.observing import marginals, observe
    from .store.old_hash import open_old_hash
    from .store.passing import Passing, passing
    from .store.spectra import momentum_density, spectrum
    from .store.store import Store
    from .store.stored_frame import stored_frame
    from .store.wavefunction import Wavefunction
    from .sync import open, plot  # noqa: A004

__version__ = "0.1.0"

_ROOMS = {
    "dask": "dask",
    "metrics": "metrics",
    "observables": "observables",
    "sources": "source",
    "study": "study",
    "sync": "sync",
}

_HOMES = {
    "errors": (
        "DamagedData", "DataLost", "Interrupted", "InvalidInput", "OutOfMemory", "QwfError", "Refused",
        "ReplayOwed", "ServerUnavailable", "UsageError",
    ),
    "copying.backup": ("BackupReport", "backup"),
    "copying.copying": ("copy", "move"),
    "copying.restore": ("RestoreReport", "restore"),
    "ingesting.estimation": ("Estimate", "estimate"),
    "ingesting.ingestion": ("ingest",),
    "store.observed": ("Observed",),
    "store.observing": ("marginals", "observe"),
    "store.old_hash": ("open_old_hash",),
    "store.passing": ("Passing", "passing"),
    "store.spectra": ("momentum_density", "spectrum"),
    "ingesting.report": ("Report",),
    "ingesting.verification": ("Difference", "Verification", "verify"),
    "exporting.export_file": ("export",),
    "lattice.grid": ("Axis", "Box", "Grid"),
    "catalog.manifest": ("Manifest",),
    "dask.data_array": ("to_xarray",),
    "producing.begin": ("SharedLoad", "begin"),
    "producing.create": ("FrameWriter", "create"),
    "producing.target": ("Target",),
    "producing.ticket": ("Ticket",),
    "settings": ("Settings",),
    "store.connecting": ("connect",),
    "store.store": ("Store",),
    "store.stored_frame": ("stored_frame",),
    "store.wavefunction": ("Wavefunction",),
    "sync": ("open", "plot"),
}  # fmt: skip

__all__ = [
    "Axis", "BackupReport", "Box", "DamagedData", "DataLost", "Difference", "Estimate", "FrameWriter", "Grid",
    "Interrupted", "InvalidInput", "Manifest", "Observed", "OutOfMemory", "Passing", "QwfError", "Refused",
    "ReplayOwed", "Report", "RestoreReport", "ServerUnavailable", "Settings", "SharedLoad", "Store", "Target",
    "Ticket", "UsageError", "Verification", "Wavefunction", "backup", "begin", "connect", "copy", "create",
    "dask", "estimate", "export", "ingest", "marginals", "metrics", "momentum_density", "move", "observables",
    "observe", "open", "open_old_hash", "passing", "plot", "restore", "sources", "spectrum", "stored_frame",
    "study", "sync", "to_xarray", "verify",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _ROOMS:
        return import_module(f".{_ROOMS[name]}", __name__)
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
