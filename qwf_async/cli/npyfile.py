"""A selection written to a `.npy` file that may be larger than memory, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread

from ..errors import InvalidInput
from ..events import Hook, Progress
from ..exporting.whole_file import replaced
from ..ingesting.shutdown import shutdown_on_signals
from ..source.formats.npy_writer import mapped

if TYPE_CHECKING:
    from ..lattice.selection import Selection
    from ..store.wavefunction import Wavefunction


async def write_npy(path: Path, psi: Wavefunction, selection: Selection, hook: Hook) -> None:
    """Write a selection of ψ to a file: as it comes into one beside it, which takes its name at the end.

    A symbolic link is replaced itself. `hook` is told the progress. Raises InvalidInput if the
    file cannot be written, and Interrupted at a signal; after any error the file is as it
    was before.
    """
    stored = 0

    def done(points: int) -> None:
        nonlocal stored
        stored += points
        hook(Progress(points=stored, total=selection.points, bytes_sent=stored * psi.dtype.itemsize))

    try:
        async with shutdown_on_signals(0) as shutdown:
            with shutdown.scope, replaced(path) as beside:
                array = await anyio.to_thread.run_sync(mapped, beside, selection.shape, psi.dtype)
                await psi.read_selection(selection, array, done=done)
                await anyio.to_thread.run_sync(array.flush)
                return
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror or error}") from error
    raise shutdown.interrupted(f"{path} was not written")
