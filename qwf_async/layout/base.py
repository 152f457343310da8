"""The promise that every layout keeps: how a grid lies in hashes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from ..grid import Box, Chunk, Shape4
from ..wire.batch import Batch, Part


class Layout(Protocol):
    """One generation of one wavefunction in one layout. Pure: knows grids and bytes, no connections."""

    def encode(self, chunk: Chunk, values: NDArray[Any], weight: float) -> Batch:
        """The requests that store a chunk.

        `values` is [t, x, y, z] of the chunk's shape in the dtype of the codec
        (`codec.stored`); `weight` is handed through. Encoding a chunk twice gives requests
        with the same effect.
        """
        ...

    def locate(self, index: Shape4) -> tuple[bytes, bytes]:
        """Key and field of the point [t, x, y, z], which must lie in the grid."""
        ...

    def keys(self) -> Iterator[bytes]:
        """All data keys of the generation, whether they were written or not."""
        ...

    def requests(self, box: Box) -> Sequence[Part]:
        """Requests that read the values of a box."""
        ...

    def values(self, box: Box, replies: Sequence[Any]) -> tuple[NDArray[Any], int]:
        """The values of a box from the replies to its `requests`, and their digest as in the journal.

        [t, x, y, z] in the dtype of the codec (complex128 for text). Raises DamagedData
        naming the first key and field that is missing or not of the codec's form.
        """
        ...
