"""Decimal digits of many consecutive numbers at once."""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def digit_spans(start: int, stop: int) -> list[tuple[int, int]]:
    """The range cut where the number of decimal digits changes."""
    powers = [10**d for d in range(1, 19) if start < 10**d < stop]
    return list(pairwise([start, *powers, stop]))


@lru_cache(maxsize=16)
def digits(start: int, stop: int) -> NDArray[np.uint8]:
    """Decimal digits of start … stop−1, all of the same length: uint8 [n, digits], read-only.

    Servers take a ready-made hash that has a field twice, and crash when it is touched later
    (https://github.com/redis/redis/issues/15413). So it is asserted that no two rows are the same.
    """
    width = len(str(start))
    words = np.empty((stop - start, -(-width // 4)), np.uint32)
    rest = np.arange(start, stop, dtype=np.int64)
    for group in range(words.shape[1] - 1, -1, -1):
        above = rest // 10_000
        words[:, group] = four_digits()[rest - above * 10_000]
        rest = above
    rows = words.view(np.uint8)[:, -width:]
    texts = np.ascontiguousarray(rows).view(f"S{width}")[:, 0]
    if len(str(stop - 1)) != width or not (texts[:-1] < texts[1:]).all():
        raise AssertionError(f"two of the numbers {start} … {stop - 1} have the same digits")
    rows.flags.writeable = False
    return rows


@cache
def four_digits() -> NDArray[np.uint32]:
    """`0000` … `9999`, four bytes each, as words."""
    return np.frombuffer(b"".join(b"%04d" % n for n in range(10_000)), np.uint32)
