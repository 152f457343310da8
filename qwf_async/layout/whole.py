"""Boxes of layout packed by whole buckets, as bytes: quicker where most points of the buckets are wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..lattice.grid import Box
from ..lattice.plan import c_indices
from ..wire.batch import Buffer
from ..wire.buckets import BUCKET
from ..wire.numbered import Numbered, hgetall
from ..wire.replies import BucketReplies
from .packed import Packed


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeBuckets:
    """The buckets that hold a box.

    `data` is for the bytes of the replies: those to full buckets, then that to the last of
    the grid, which may be a partial one. `places` are those of the points of the box in the
    values of all buckets.
    """

    request: Buffer
    full: BucketReplies
    partial: BucketReplies
    data: NDArray[np.uint8]
    places: NDArray[np.int64]
    box: Box

    @classmethod
    def of(cls, layout: Packed, box: Box) -> WholeBuckets | None:
        """The buckets of a box, or None if it holds too few of their points."""
        indices = c_indices(layout.shape, box)
        buckets, fields = np.divmod(indices, BUCKET)
        first = np.diff(buckets, prepend=-1) != 0
        numbers = buckets[first]
        if 2 * len(indices) < BUCKET * len(numbers):
            return None
        points = math.prod(layout.shape)
        rest = points % BUCKET if numbers[-1] == points // BUCKET else 0
        full = BucketReplies(count=len(numbers) - (rest > 0), points=BUCKET, dtype=layout.dtype)
        partial = BucketReplies(count=int(rest > 0), points=rest or BUCKET, dtype=layout.dtype)
        return cls(
            request=hgetall(Numbered(parts=(layout.base + b":b", numbers))),
            full=full,
            partial=partial,
            data=np.empty(full.nbytes + partial.nbytes, np.uint8),
            places=(np.cumsum(first) - 1) * BUCKET + fields,
            box=box,
        )

    def match(self, start: int, stop: int) -> bool:
        """Whether the bytes start … stop−1 of `data` are what nothing but values could change."""
        edge = self.full.nbytes
        return self.full.match(self.data, start, min(stop, edge)) and self.partial.match(
            self.data[edge:], max(start, edge) - edge, stop - edge
        )

    def values(self) -> NDArray[Any]:
        """The values of the box, [t, x, y, z]."""
        edge = self.full.nbytes
        values = self.full.values(self.data[:edge]).reshape(-1)
        if self.partial.count:
            values = np.concatenate((values, self.partial.values(self.data[edge:]).reshape(-1)))
        return values[self.places].reshape(self.box.shape)
