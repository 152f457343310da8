"""Metrics as text: in the format that is asked for, and as a file for node exporter's textfile collector."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread

from ..errors import UsageError
from .metrics import Metrics

WRITE_EVERY: Final = 10.0
"""Seconds between two writings of the file."""


def exposition(metrics: Metrics, accept: str) -> tuple[bytes, str]:
    """The metrics, and the content type: OpenMetrics if the Accept header asks for it, else Prometheus' text."""
    from prometheus_client.exposition import choose_encoder

    encode, content_type = choose_encoder(accept)
    return encode(metrics.registry), content_type


def check_place(path: Path) -> None:
    """Raise UsageError if no file can be written there."""
    if path.is_dir():
        raise UsageError(f"metrics cannot be written to {path}: it is a directory")
    if not path.parent.is_dir():
        raise UsageError(f"metrics cannot be written to {path}: there is no directory {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(f"metrics cannot be written to {path}: no right to write in {path.parent}")


def write_file(metrics: Metrics, path: Path) -> None:
    """Write the metrics as Prometheus' text, atomically: who reads sees the old file or the whole new one. Blocking.

    Raises OSError if that cannot be done; the old file then stays.
    """
    text, _ = exposition(metrics, "")
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(text)
            os.fchmod(descriptor, 0o644)  # the exporter is another user
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


async def keep_writing(metrics: Metrics, path: Path) -> None:
    """Write the file every WRITE_EVERY seconds until cancelled, in a thread. One that fails is made up by the next."""
    while True:
        await anyio.sleep(WRITE_EVERY)
        with suppress(OSError):
            await to_thread.run_sync(write_file, metrics, path)
