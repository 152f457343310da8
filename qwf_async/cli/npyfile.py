"""A selection written to a `.npy` file that may be larger than memory, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread

from ..errors import InvalidInput
from ..exporting.whole_file import replaced
from ..source.formats.npy_writer import mapped

if TYPE_CHECKING:
    from ..lattice.selection import Selection
    from ..store.wavefunction import Wavefunction


async def write_npy(
    path: Path, psi: Wavefunction, selection: Selection, done: Callable[[int], object]
) -> None:
    """Write a selection of ψ to a file: as it comes into one beside it, which takes its name at the end.

    A symbolic link is replaced itself. `done` is told the points that were written. Raises
    InvalidInput if the file cannot be written; after any error it is as it was before.
    """
    try:
        with replaced(path) as beside:
            array = await anyio.to_thread.run_sync(mapped, beside, selection.shape, psi.dtype)
            await psi.read_selection(selection, array, done=done)
            await anyio.to_thread.run_sync(array.flush)
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror or error}") from error
