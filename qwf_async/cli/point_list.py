"""The points in a file, one a line, for `qwf get --points`."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from typing import Final

from ..errors import InvalidInput

MAX_LISTED_POINTS: Final = 1_000_000
"""Points of a file: about 1 GB of memory, because each is printed with its words."""

MAX_POINT_LINE_BYTES: Final = 1000
"""Bytes of a line, its end included."""

MAX_QUOTED_BYTES: Final = 60
"""Bytes of a line that a message shows."""

Index = tuple[int, int, int, int]


def read_points(path: Path | None) -> list[Index]:
    """x, y, z, t of each line of a file that is not empty; of standard input if the path is `-`.

    Raises InvalidInput for a file that cannot be read, for one without a point or with more
    than MAX_LISTED_POINTS, and for a line that is no point.
    """
    file_name = "standard input" if str(path) == "-" else str(path)
    points = []
    try:
        with sys.stdin.buffer if str(path) == "-" else Path(str(path)).open("rb") as file:
            # Line by line, each bounded: what is piped in by mistake must not fill the memory.
            for number in count(1):
                line = file.readline(MAX_POINT_LINE_BYTES)
                if not line:
                    break
                if (point := _parsed(line, f"{file_name}, line {number}")) is not None:
                    points.append(point)
                if len(points) > MAX_LISTED_POINTS:
                    raise InvalidInput(
                        f"{file_name} holds more than {MAX_LISTED_POINTS:,} points: 'qwf slice' reads regions"
                    )
    except OSError as error:
        raise InvalidInput(f"cannot read points from {file_name}: {error.strerror}") from error
    if not points:
        raise InvalidInput(f"{file_name} holds no points: write x y z t, one point a line")
    return points


def _parsed(line: bytes, origin: str) -> Index | None:
    """x, y, z, t of a line; None for one that is empty. Raises InvalidInput for a line that is no point."""
    words = line.replace(b",", b" ").split()
    try:
        # A line that is too long was cut, perhaps in the middle of a number.
        numbers = (
            [int(word) for word in words] if len(line) < MAX_POINT_LINE_BYTES and len(words) <= 4 else None
        )
    except ValueError:
        numbers = None
    if numbers is None:
        text = line.strip()[:MAX_QUOTED_BYTES].decode("utf-8", "backslashreplace")
        quoted = f"{text!r}" + ("…" if len(line) > MAX_QUOTED_BYTES else "")
        raise InvalidInput(f"{origin}: {quoted} is not x y z t, one to four integers")
    x, y, z, t = (*numbers, 0, 0, 0, 0)[:4]
    return (x, y, z, t) if numbers else None
