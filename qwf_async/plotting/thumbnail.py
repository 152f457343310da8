"""A small picture of |ψ|² for a notebook, as HTML: a plane as a PNG, a line as a filled curve. Needs no matplotlib."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from html import escape
from typing import Final

import numpy as np

from ..store.wavefunction import Wavefunction
from .colours import Colours, density_colours, density_table
from .from_store import read_picture
from .picture import Picture

SIDE: Final = 128
"""Points along a side, at most: only these are read."""

SHOWN: Final = 180
"""Pixels of the longer side, as it is shown."""

LEAST: Final = 24
"""Pixels of the shorter side, at least, however long the other one is."""

LINE: Final = (180, 90)
"""Pixels of a line's picture, across and up."""


async def thumbnail(psi: Wavefunction) -> str:
    """|ψ|² of the first frame, cut as `read_picture` cuts it, as an element of HTML. Raises as `read_picture`."""
    picture = await read_picture(psi, max_points=SIDE)
    draw = _plane if len(picture.view.axes) == 2 else _line
    return draw(picture, escape(f"|ψ|²: {' '.join(picture.title(0).split())}"))


def _plane(picture: Picture, title: str) -> str:
    colours = density_colours(picture.density[0], picture.peak)  # [across, up, 3]
    data = b64encode(png(colours.swapaxes(0, 1)[::-1])).decode()
    width, height = _size(picture)
    return f'<img src="data:image/png;base64,{data}" alt="{title}" title="{title}" width="{width}" height="{height}">'


def _size(picture: Picture) -> tuple[int, int]:
    """Pixels across and up, as the lengths of the sides are, if they are known in the same unit."""
    view = picture.view
    a, b = (view.grid.axes[axis] for axis in view.axes)
    known = a.step is not None and b.step is not None and a.unit == b.unit
    across, up = (
        abs(high - low) if known else float(view.grid.shape[axis])
        for axis in view.axes
        for low, high in [view.edges(axis)]
    )
    longest = max(across, up)
    return max(LEAST, round(SHOWN * across / longest)), max(LEAST, round(SHOWN * up / longest))


def _line(picture: Picture, title: str) -> str:
    width, height = LINE
    share = np.nan_to_num(picture.density[0] / (picture.peak or 1.0), posinf=1.0)
    x = (np.arange(len(share)) + 0.5) * width / len(share)
    y = 1 + (height - 2) * (1 - np.clip(share, 0, 1))
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    red, green, blue = density_table()[128]
    return (
        f'<svg width="{width}" height="{height}" role="img" aria-label="{title}"><title>{title}</title>'
        f'<polygon points="{x[0]:.1f},{height - 1} {points} {x[-1]:.1f},{height - 1}" '
        f'fill="rgb({red},{green},{blue})" fill-opacity="0.35" stroke="rgb({red},{green},{blue})"/></svg>'
    )


def png(colours: Colours) -> bytes:
    """A PNG file of colours, uint8 [rows from the top, columns, red green blue]. Source: RFC 2083."""
    height, width, _ = colours.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each begins with its filter: none
    rows[:, 1:] = colours.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
