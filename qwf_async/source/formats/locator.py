"""Which file a SOURCE names, and what is chosen of it: `psi.h5:/path`, `run.zarr/psi`, `re.cube,im.cube`.

A file that is there is found by its name and told by its content. Of one that is not there,
the suffix says that a file was meant.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...errors import InvalidInput
from .decompression import STANDARD_INPUT
from .detection import Detection, is_node, told
from .raw.raw import PARAMETERS

FORMATS: Final[Mapping[str, str]] = {
    ".npy": "npy",
    ".npz": "npz",
    ".h5": "hdf5", ".hdf5": "hdf5", ".hdf": "hdf5", ".he5": "hdf5", ".nxs": "hdf5", ".mat": "hdf5",
    ".nc": "netcdf", ".nc4": "netcdf", ".nc3": "netcdf", ".cdf": "netcdf", ".ncdf": "netcdf",
    ".zarr": "zarr", ".zarr.zip": "zarr",
    ".cube": "cube", ".cub": "cube",
    ".raw": "raw", ".bin": "raw",
}  # fmt: skip
"""Suffix → format, of files whose content does not tell it."""

_ENDS: Final = "|".join(re.escape(suffix) for suffix in sorted(FORMATS, key=len, reverse=True))
_PACKED: Final = r"(?:\.(?:gz|bz2|xz))?"
_SUFFIX: Final = re.compile(rf"(?P<suffix>{_ENDS}){_PACKED}/?$", re.IGNORECASE)
_MISSING: Final = re.compile(
    rf"(?P<path>.+?(?:{_ENDS}){_PACKED})/?(?P<rest>[:,].*)?", re.IGNORECASE | re.DOTALL
)
_RAW: Final = re.compile(rf"(?:{'|'.join(PARAMETERS)})=")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLocation:
    """A SOURCE that names a file, or by a pattern several.

    `rest` is what comes after the colon, or from the comma of a pair on; None if nothing does.
    """

    path: str
    rest: str | None = None

    @property
    def is_pattern(self) -> bool:
        return glob.has_magic(self.path) and not os.path.lexists(self.path)

    @property
    def is_raw(self) -> bool:
        """Whether what is told of it is told of numbers and nothing else."""
        return self.rest is not None and _RAW.match(self.rest) is not None

    @property
    def format(self) -> str | None:
        """The format of the file: numbers alone if that is told of it, else by its content, else by its suffix."""
        return self.told().format

    def told(self) -> Detection:
        """What the file is; what it is by its content, if that is none of the formats."""
        if self.is_raw:
            return Detection(format="raw")
        if self.path == STANDARD_INPUT:
            return Detection(format="npy")
        found = told(self.path)
        ending = _SUFFIX.search(self.path)
        suffix = None if ending is None else FORMATS[ending["suffix"].lower()]
        if found.format is None and (found.what is None or (found.text and suffix == "cube")):
            return Detection(format=suffix)
        return found


def named(text: str) -> FileLocation | None:
    """The file that a SOURCE names; None if it seems to name none."""
    if text == STANDARD_INPUT or os.path.lexists(text):
        return _of(text, None)  # a name may hold a colon or a comma
    for place in range(len(text) - 1, 0, -1):
        if text[place] in ":,/" and (found := _cut(text[:place], text[place], text[place + 1 :])) is not None:
            return found
    match = _MISSING.fullmatch(text)
    if match is None:
        return FileLocation(path=text) if glob.has_magic(text) else None
    path, rest = match["path"], match["rest"]
    return FileLocation(path=path, rest=rest if rest is None or rest[0] == "," else rest[1:])


def stem(text: str) -> str | None:
    """The name of the file without its suffix, or what the names of several have in common."""
    found = named(text)
    if found is None:
        return None
    if found.path == STANDARD_INPUT:
        return "stdin"
    name = Path(found.path).name
    if found.is_pattern:
        name = re.sub(r"[_.-]*(\[[^]]*\]|[*?])+", "", name)
    ending = _SUFFIX.search(name)
    return name[: ending.start()] if ending else Path(name).stem


def _cut(path: str, separator: str, rest: str) -> FileLocation | None:
    """The text cut at a separator, if what is before it is a file, or a pattern, of which something can be chosen."""
    found = FileLocation(path=path, rest=rest)
    if found.is_pattern:
        if separator == "/" or not glob.glob(path):
            return None
        return FileLocation(path=path, rest=f",{rest}") if separator == "," else found
    if not os.path.lexists(path) or not (found.is_raw or found.format is not None):
        return None
    if separator == ",":
        return FileLocation(path=path, rest=f",{rest}") if found.format == "cube" else None
    return _of(path, rest if separator == ":" else rest or None)


def _of(path: str, rest: str | None) -> FileLocation:
    """The file; of a node of a Zarr hierarchy the hierarchy that it belongs to, for its coordinates lie beside it."""
    if not is_node(path):
        return FileLocation(path=path, rest=rest)
    root = node = path.rstrip("/") or path
    while is_node(os.path.dirname(root)):
        root = os.path.dirname(root)
    if root == node:
        return FileLocation(path=node, rest=rest)
    inner = os.path.relpath(node, root)
    words = [f"{inner}/{word.lstrip('/')}" for word in (rest or "").split(",")]
    return FileLocation(path=root, rest=",".join(words).rstrip("/"))


def expanded(text: str) -> list[str]:
    """A SOURCE for each file if the text is a pattern, in natural order: fr_2 before fr_10. Else the text itself.

    Of a pair, `re_*.cube,im_*.cube`, each pattern has its turn. Raises InvalidInput if there is
    no file of such a name, or not as many of the one half as of the other.
    """
    found = named(text)
    if found is None or not found.is_pattern:
        return [text]
    paths = sorted(glob.glob(found.path), key=_natural)
    if not paths:
        raise InvalidInput(f"no file has a name like {found.path}")
    if found.rest is None:
        return paths
    if not found.rest.startswith(","):
        return [f"{path}:{found.rest}" for path in paths]
    others = expanded(found.rest[1:])
    if len(others) != len(paths):
        raise InvalidInput(
            f"{text}: {len(paths)} files are like {found.path}, but {len(others)} like {found.rest[1:]}"
        )
    return [f"{re_},{im}" for re_, im in zip(paths, others, strict=True)]


def _natural(path: str) -> list[tuple[int, int | str]]:
    return [(1, int(word)) if word.isdecimal() else (2, word) for word in re.split(r"(\d+)", path) if word]
