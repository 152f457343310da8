"""Which directories, and which folders of zip files, are nodes of a Zarr hierarchy."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

NODES: Final = ("zarr.json", ".zgroup", ".zarray", ".zmetadata")
"""Files that make a directory a node. Source: Zarr core specification 3.1, Zarr storage specification 2."""


def is_node(path: str | os.PathLike[str]) -> bool:
    """Whether a directory is a node of a Zarr hierarchy."""
    return any(os.path.isfile(os.path.join(path, name)) for name in NODES)


def hierarchy_of(node: str) -> str:
    """The directory of the whole hierarchy that a node belongs to: coordinates can be in any of it."""
    root = node
    while is_node(os.path.dirname(root)):
        root = os.path.dirname(root)
    return root


def zip_roots(names: Iterable[str]) -> list[str]:
    """The folders of a zip file that are roots of Zarr hierarchies, by its `names`; "" is the zip file itself.

    A file manager puts the name of the directory before all that was in it.
    """
    nodes = {name.rpartition("/")[0] for name in names if name.rpartition("/")[2] in NODES}
    above = {node: [""] * bool(node) + [node[:i] for i, c in enumerate(node) if c == "/"] for node in nodes}
    return sorted(node for node in nodes if not nodes.intersection(above[node]))
