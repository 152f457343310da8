"""A selection of a wavefunction written to a `.npy` file that may be larger than memory, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio.to_thread

from ..lattice.selection import Selection
from ..source.formats.npy import new_npy
from ..store.wavefunction import Wavefunction
from .whole_file import in_threads, translated_errors, written_whole


async def write_npy(
    path: Path, psi: Wavefunction, selection: Selection, done: Callable[[int], object]
) -> None:
    """Write a selection of ψ to a file, an array of the selection's shape, box by box as it is read.

    A symbolic link is replaced, not the file that it names. `done` is called with the number
    of points of each box that was written. Raises InvalidInput if the file cannot be written;
    after any error it is as it was.
    """
    with translated_errors(path):
        async with in_threads(written_whole(path)) as new_path:
            array = await anyio.to_thread.run_sync(new_npy, new_path, selection.shape, psi.dtype)
            await psi.read_selection(selection, array, done=done)
            await anyio.to_thread.run_sync(array.flush)
