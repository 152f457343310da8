"""How a grid lies in hashes: one module a layout."""

from __future__ import annotations

from ..errors import UsageError
from .base import Layout
from .flat import Flat

__all__ = ["LAYOUTS", "Layout", "open_layout"]

LAYOUTS = ("flat",)


def open_layout(name: str, base: bytes, codec: str) -> Layout:
    """The layout of that name for the generation whose keys begin with `base`.

    Raises UsageError if there is no such layout.
    """
    if name != "flat":
        raise UsageError(f"unknown layout {name!r}: one of {', '.join(LAYOUTS)}")
    return Flat(base=base, codec=codec)
