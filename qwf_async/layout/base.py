"""The promise that every layout keeps: how a grid lies in hashes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from ..lattice.grid import Box, Shape4
from ..lattice.plan import Chunk
from ..wire.batch import Batch, Part


class Layout(Protocol):
    """One generation of one wavefunction in one layout. Pure: knows grids and bytes, no connections."""

    @property
    def grain(self) -> Shape4:
        """What is stored together, [t, x, y, z]: boxes cut at multiples of it are read without waste."""
        ...

    @property
    def field_bytes(self) -> int:
        """The most bytes that a field on the server has."""
        ...

    def encode(self, chunk: Chunk, values: NDArray[Any], weight: float) -> Batch:
        """The requests that store a chunk.

        `values` has the chunk's shape and the dtype of the codec (`codec.stored`); `weight` is
        handed through. Encoding a chunk twice gives requests with the same effect.
        """
        ...

    def changes(self, box: Box, values: NDArray[Any]) -> Sequence[Part]:
        """The requests that change the values of a box in place, each all or nothing, and atomic a point.

        `values` has the box's shape and the dtype of the codec. The reply to each is 0, or
        the field that is missing (or no tile), and then it changed nothing.
        """
        ...

    def keys(self) -> Iterator[bytes]:
        """All data keys of the generation, whether they were written or not."""
        ...

    def requests(self, box: Box) -> Sequence[Part]:
        """Requests that read the values of a box."""
        ...

    def values(self, box: Box, replies: Sequence[Any]) -> NDArray[Any]:
        """The values of a box from the replies to its `requests`.

        [t, x, y, z] in the dtype of the codec (complex128 for text). Raises DamagedData
        naming the first key and field that is missing or not of the codec's form.
        """
        ...
