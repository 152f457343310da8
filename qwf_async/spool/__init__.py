"""Batches kept in a file of SQLite while the server is away: storage only, no connection and no task."""

from .failure import SpoolFull
from .file import Quarantined, SpoolFile
from .head import SpoolHead
from .place import FoundSpool, spool_path, spools

__all__ = [
    "FoundSpool",
    "Quarantined",
    "SpoolFile",
    "SpoolFull",
    "SpoolHead",
    "spool_path",
    "spools",
]
