"""A selection written to a `.npy` file that may be larger than memory, whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import numpy as np

from ..engine.events import Hook, Progress
from ..engine.shutdown import shutdown_on_signals
from ..engine.unwrap import one_error
from ..errors import InvalidInput

if TYPE_CHECKING:
    from ..selection import Selection
    from ..wavefunction import Wavefunction


async def write_npy(path: Path, psi: Wavefunction, selection: Selection, hook: Hook) -> None:
    """Write a selection of ψ to a file: as it comes into one beside it, which takes its name at the end.

    `hook` is told the progress. Raises InvalidInput if the file cannot be written, and
    Interrupted at a signal; after any error the file is as it was before.
    """
    stored = 0

    def done(points: int) -> None:
        nonlocal stored
        stored += points
        hook(Progress(points=stored, total=selection.points, bytes_sent=stored * psi.dtype.itemsize))

    try:
        with one_error():
            async with shutdown_on_signals(0) as shutdown:
                with shutdown.scope, _replaced(path) as beside:
                    array = await anyio.to_thread.run_sync(_mapped, beside, selection.shape, psi.dtype)
                    await psi.read_selection(selection, array, done=done)
                    await anyio.to_thread.run_sync(array.flush)
                    os.replace(beside, path)
                    return
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror or error}") from error
    raise shutdown.interrupted(f"{path} was not written")


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """A name beside a file, for what will replace it; what is left under it is removed."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield beside
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.memmap[Any, Any]:
    """A new `.npy` file as an array. Its space is taken now: a disk that fills up later would be a fatal signal."""
    array: np.memmap[Any, Any] = np.lib.format.open_memmap(path, "w+", dtype, shape)
    if sys.platform == "linux":
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array
