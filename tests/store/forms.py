"""The forms in which the tests of a store keep a wavefunction: layout, codec, slab; for grids of 12 or more along y."""

from __future__ import annotations

from qwf_async.layout import Slab

FORMS: list[tuple[str, str, Slab | None]] = [
    ("flat", "c16", None),
    ("flat", "c8", None),
    ("flat", "text10", None),
    ("flat", "c16", "all"),
    ("flat", "text10", "all"),
    ("flat", "c8", (2, 5, 12, 4)),
    ("packed", "c16", None),
    ("packed", "c8", None),
    ("tile", "c16", None),
    ("tile", "c8", None),
]
