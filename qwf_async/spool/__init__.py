"""Batches kept in a file of SQLite while the server is away: storage only, no connection and no task."""

from .failure import SpoolFull
from .file import Quarantined, SpoolFile
from .head import SpoolHead, head_path
from .place import FoundSpool, spool_path, spools
from .record import Row

__all__ = [
    "FoundSpool",
    "Quarantined",
    "Row",
    "SpoolFile",
    "SpoolFull",
    "SpoolHead",
    "head_path",
    "spool_path",
    "spools",
]
