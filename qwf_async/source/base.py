"""The promise that every source of a wavefunction keeps to the engine."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from ..lattice.grid import Box, Grid, Order


@runtime_checkable
class Source(Protocol):
    """Where ψ comes from. Sources know arrays only: nothing of keys, servers or tasks."""

    @property
    def spec(self) -> str:
        """The source as text, as it could be given on the command line."""
        ...

    @property
    def grid(self) -> Grid:
        """Shape and axes of what it yields."""
        ...

    @property
    def order(self) -> Order:
        """The order in which it is read best: "C" (z fastest) or "F" (t fastest)."""
        ...

    def read(self, box: Box) -> NDArray[Any]:
        """ψ over the box: an array of `box.shape`, [t, x, y, z], complex64 or complex128.

        Native byte order; any strides. Called from a worker thread, one call at a time.
        The array is not written to afterwards by either side, so it may be a view.
        Raises InvalidInput if the data cannot be read.
        """
        ...

    def fingerprint(self) -> str:
        """A short text that is the same if, and only if, `read` would yield the same values.

        Compared by `--resume`: a file that was touched since has another fingerprint.
        Raises InvalidInput if the source is gone.
        """
        ...

    def close(self) -> None:
        """Give back files and maps. May be called twice."""
        ...
