"""Which way to read a box is the quickest: as a box, chunk by chunk, or as points that lie anywhere. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from ..client.guard import HEAD_BYTES
from ..lattice.grid import Box
from ..layout import Layout

OWN_EXCHANGE: Final = 4096
"""Points on average from which on the part of a chunk is read on its own: then its hash may come whole, as bytes."""

SCATTERED_CHUNKS: Final = 4
"""Chunks that are always read one by one."""

SCATTERED_POINTS: Final = 256
"""Points of a chunk from which on it is quicker to ask for them as a box: a request for it is 50 µs of work here."""


def are_small(pieces: Sequence[Box], box: Box) -> bool:
    """Whether the pieces of a box that lie in one chunk each are too small for exchanges of their own."""
    return box.points < OWN_EXCHANGE * len(pieces)


def is_scattered(layout: Layout, box: Box) -> bool:
    """Whether a box has so few points in each of many chunks that they are better read as points that lie anywhere."""
    chunks = layout.plan.touched_count(box)
    return chunks > SCATTERED_CHUNKS and box.points < SCATTERED_POINTS * chunks


def reply_bytes(layout: Layout, box: Box) -> int:
    """Bytes of the replies that hold a box, about."""
    ends = zip(box.start, box.stop, layout.grain, strict=True)
    fields = math.prod(-(-stop // step) - start // step for start, stop, step in ends)
    return fields * (layout.field_bytes + HEAD_BYTES)
