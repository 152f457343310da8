"""Numbers as people read them: sizes, shares, counts, durations and ages. JSON has the raw ones.

Everything here is a pure function of numbers. Sizes are in powers of 1000, as disks and networks
are sold: 1 kB is 1000 bytes. What is rounded never claims too much: a share below 1 is never
shown as 100 %, and one above 0 never as 0 %.
"""

from __future__ import annotations

import math
from typing import Final

_SIZES: Final = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")
_LARGE: Final = ((1e6, "million"), (1e9, "billion"), (1e12, "trillion"))
MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400
YEAR: Final = 365 * DAY


def size(nbytes: float) -> str:
    """Bytes as in "17 bytes", "1.9 GB" or "420 MB": at most three digits."""
    if abs(nbytes) < 999.5:
        return "1 byte" if round(nbytes) == 1 else f"{nbytes:.0f} bytes"
    value = float(nbytes)
    for unit in _SIZES[1:]:
        value /= 1000
        if abs(value) < 999.5 or unit == _SIZES[-1]:
            break
    return f"{value:.1f} {unit}" if abs(value) < 99.95 else f"{value:,.0f} {unit}"


def share(part: float) -> str:
    """A share of 1 in whole per cent, as in "43 %"; "<1 %" and ">99 %" where rounding would say 0 or 100."""
    if 0 < part < 0.01:
        return "<1 %"
    if 0.99 < part < 1:
        return ">99 %"
    return f"{100 * part:.0f} %"


def count(number: float) -> str:
    """A count: 12,345 below a million, else in three digits, as in "12.3 million"."""
    whole = round(number)
    if abs(whole) < 1_000_000:
        return f"{whole:,}"
    for unit, name in _LARGE:
        if abs(whole) < 999.5 * unit:
            return f"{whole / unit:.3g} {name}"
    return f"{whole / unit:,.0f} {name}"


def counted(number: float, thing: str, things: str | None = None) -> str:
    """A count with what is counted: "1 key", "12,345 keys", "12.3 million points"."""
    return f"{count(number)} {thing if number == 1 else things or f'{thing}s'}"


def duration(seconds: float) -> str:
    """A time in its two largest units: "35 ms", "2.4 s", "45 s", "2 min 5 s", "3 h 12 min", "2 d 4 h"."""
    if not math.isfinite(seconds):
        return "unknown"
    if abs(seconds) < 0.0995:
        return f"{1000 * seconds:.0f} ms"
    if abs(seconds) < 9.95:
        return f"{seconds:.1f} s"
    for large, small, great, little in (
        (DAY, HOUR, "d", "h"),
        (HOUR, MINUTE, "h", "min"),
        (MINUTE, 1, "min", "s"),
    ):
        whole, rest = divmod(round(seconds / small), large // small)
        if whole:
            return f"{whole} {great} {rest} {little}" if rest else f"{whole} {great}"
    return f"{seconds:.0f} s"


def age(seconds: float) -> str:
    """How long ago something was: "just now", "12 s ago", "3 h ago", "5 days ago"; "in 3 h" by a clock that differs."""
    if abs(seconds) < 1:
        return "just now"
    words = _one_unit(abs(seconds))
    return f"{words} ago" if seconds > 0 else f"in {words}"


def _one_unit(seconds: float) -> str:
    """A time in its largest unit, rounded down: what is 1.9 h old is "1 h" old."""
    for limit, unit, name in ((MINUTE, 1, "s"), (HOUR, MINUTE, "min"), (DAY, HOUR, "h")):
        if seconds < limit:
            return f"{seconds // unit:.0f} {name}"
    return counted(seconds // DAY, "day") if seconds < 2 * YEAR else counted(seconds // YEAR, "year")
