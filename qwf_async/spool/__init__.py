"""Batches kept in an SQLite file while the server is away. This is storage alone: no connection, no task."""

from .directory import SpoolEntry, spool_path, spools
from .file import Quarantined, SpoolFile
from .head import SpoolHead, head_path
from .row import Row

__all__ = [
    "Quarantined",
    "Row",
    "SpoolEntry",
    "SpoolFile",
    "SpoolHead",
    "head_path",
    "spool_path",
    "spools",
]
