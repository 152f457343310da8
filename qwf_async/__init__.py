"""Load quantum wavefunctions into Redis or Valkey hashes, and get them back.

The public names are imported when they are first used, so that `qwf --help` loads neither
numpy nor redis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import source as sources
    from .engine.ingest import ingest
    from .engine.report import Report
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
    from .grid import Axis, Box, Grid
    from .manifest import Manifest
    from .settings import Settings
    from .store import Store, connect
    from .wavefunction import Wavefunction

__version__ = "0.1.0"

_HOMES = {
    "errors": (
        "DamagedData", "DataLost", "Interrupted", "InvalidInput", "OutOfMemory", "QwfError", "Refused",
        "ReplayOwed", "ServerUnavailable", "UsageError",
    ),
    "engine.ingest": ("ingest",),
    "engine.report": ("Report",),
    "grid": ("Axis", "Box", "Grid"),
    "manifest": ("Manifest",),
    "settings": ("Settings",),
    "store": ("Store", "connect"),
    "wavefunction": ("Wavefunction",),
}  # fmt: skip

__all__ = [
    "Axis", "Box", "DamagedData", "DataLost", "Grid", "Interrupted", "InvalidInput", "Manifest",
    "OutOfMemory", "QwfError", "Refused", "ReplayOwed", "Report", "ServerUnavailable", "Settings", "Store",
    "UsageError", "Wavefunction", "connect", "ingest", "sources",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "sources":
        return import_module(".source", __name__)
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
