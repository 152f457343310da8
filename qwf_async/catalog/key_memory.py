"""How much memory keys take on the server, from a sample of them: those of one generation are alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from ..client.pool import Pool
from ..client.reply import is_number_or_none
from ..errors import Refused
from ..layout import Form

MAX_SAMPLED_KEYS: Final = 64
"""Keys of a generation whose memory is asked for."""


def spread_keys(form: Form, base: bytes, most: int = MAX_SAMPLED_KEYS) -> Iterator[bytes]:
    """Up to so many keys of a generation, from groups all over it: so they lie on all nodes of a cluster."""
    layout, groups = form.open(base), min(form.groups, most)
    for number in range(groups):
        yield from islice(layout.keys(number * form.groups // groups), most // groups)


async def sampled_bytes(
    pool: Pool, keys: Iterable[bytes], *, fields: int, most: int = MAX_SAMPLED_KEYS, doing: str = ""
) -> list[int | None]:
    """Bytes that each of the first `most` keys takes; None for one that is not there.

    The server measures `fields` fields of a hash, or all if that is 0. Raises Refused if it
    forbids MEMORY, and ServerUnavailable.
    """
    return [
        await pool.call("MEMORY", "USAGE", key, "SAMPLES", fields, expect=is_number_or_none, doing=doing)
        for key in islice(keys, most)
    ]


async def bytes_per_point(
    pool: Pool, form: Form, base: bytes, *, most: int = MAX_SAMPLED_KEYS, fields: int = 1000
) -> float | None:
    """Memory of a generation's data for each of its points, by a sample; None if the server forbids MEMORY.

    The sample is of `most` keys at most, and of `fields` fields of each.
    """
    try:
        sizes = await sampled_bytes(pool, spread_keys(form, base, most), fields=fields, most=most)
    except Refused:
        return None
    counts = form.scheme.counts
    return sum(size or 0 for size in sizes) * counts.keys / len(sizes) / math.prod(form.shape)
