"""A file as SOURCE: its format by its suffix, and what comes after the colon.

psi.npy                             an array
psi.npz:psi                         a member
psi.h5:/path, psi.h5:/re,/im        a data set, or two
psi.zarr:/path, psi.zarr.zip        an array in a directory, or in a zip file of one
psi.nc:psi                          a variable
density.cube, re.cube,im.cube       one real function, or two; orbitals.cube:mo=5
psi.raw:shape=64x64x64,dtype=c16    numbers and nothing else; order=F, offset=1024
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...errors import InvalidInput
from ..base import Source
from .cube import cube
from .hdf5 import hdf5
from .netcdf import netcdf
from .npy import npy
from .npz import npz
from .raw import raw_text
from .zarr_array import zarr

FORMATS: Final[Mapping[str, str]] = {
    ".npy": "npy",
    ".npz": "npz",
    ".h5": "hdf5", ".hdf5": "hdf5", ".hdf": "hdf5", ".he5": "hdf5",
    ".nc": "netcdf", ".nc4": "netcdf", ".nc3": "netcdf", ".cdf": "netcdf",
    ".zarr": "zarr", ".zarr.zip": "zarr",
    ".cube": "cube", ".cub": "cube",
    ".raw": "raw", ".bin": "raw",
}  # fmt: skip
"""Suffix → format."""

_ENDS: Final = "|".join(re.escape(suffix) for suffix in sorted(FORMATS, key=len, reverse=True))
_FILE: Final = re.compile(
    rf"(?P<path>.+?(?P<suffix>{_ENDS}))(?P<slash>/)?(?P<rest>[:,].*)?", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A SOURCE that names a file of a format: `rest` is what comes after the colon, or None."""

    path: str
    format: str
    rest: str | None


def named(text: str) -> Named | None:
    """The file that a SOURCE names, if it has the suffix of a format."""
    if os.path.lexists(text) and (found := _suffix(text)):
        return Named(path=text, format=FORMATS[found], rest=None)  # a name may hold a colon or a comma
    match = _FILE.fullmatch(text)
    if match is None:
        return None
    path, rest = match["path"], match["rest"]
    kind = FORMATS[match["suffix"].lower()]
    if rest is not None and rest[0] == "," and kind != "cube":
        return None
    return Named(path=path, format=kind, rest=rest if rest is None or rest[0] == "," else rest[1:])


def _suffix(text: str) -> str | None:
    low = text.lower().rstrip("/")
    return next((s for s in sorted(FORMATS, key=len, reverse=True) if low.endswith(s)), None)


def stem(text: str) -> str | None:
    """The name of the file without its suffix."""
    found = named(text)
    if found is None:
        return None
    name = Path(found.path).name
    return name[: len(name) - len(_suffix(name) or "")]


def open_file(
    text: str, *, dims: str | None = None, box: Sequence[float] | None = None, dt: float | None = None
) -> Source:
    """The source in a file. Raises InvalidInput if it cannot be used or found, UsageError if a library is missing."""
    found = named(text)
    if found is None:
        return npy(text, dims=dims, box=box, dt=dt)  # which says that it is none
    path, rest = found.path, found.rest
    match found.format:
        case "npy":
            if rest is not None:
                raise InvalidInput(f"{path} is one array: nothing can follow it as in {text}")
            return npy(path, dims=dims, box=box, dt=dt)
        case "raw":
            return raw_text(path, rest or "", dims=dims, box=box, dt=dt)
        case "cube":
            return _cubes(text, dims, box, dt)
        case "npz":
            return npz(path, rest, dims=dims, box=box, dt=dt)
        case "hdf5":
            return hdf5(path, rest, dims=dims, box=box, dt=dt)
        case "netcdf":
            return netcdf(path, rest, dims=dims, box=box, dt=dt)
        case _:
            return zarr(path, rest, dims=dims, box=box, dt=dt)


def _cubes(text: str, dims: str | None, box: Sequence[float] | None, dt: float | None) -> Source:
    """One cube file or a pair, each perhaps with `:mo=N`."""
    pieces = [text] if os.path.lexists(text) else text.split(",")
    if len(pieces) > 2 or not all(pieces):
        raise InvalidInput(f"{text}: ψ is one cube file, or two, re.cube,im.cube")
    paths, orbitals = [], set()
    for piece in pieces:
        one = None if "," in piece and not os.path.lexists(piece) else named(piece)
        if one is None or one.format != "cube":
            raise InvalidInput(f"{text}: {piece!r} is no cube file; a pair is written re.cube,im.cube")
        paths.append(one.path)
        orbitals.add(one.rest)
    if len(orbitals) > 1:
        raise InvalidInput(f"{text}: of both files of a pair the same orbital, :mo=N, must be chosen")
    (chosen,) = orbitals
    number = None
    if chosen is not None:
        key, _, value = chosen.partition("=")
        if key != "mo" or not re.fullmatch(r"-?[0-9]{1,9}", value):
            raise InvalidInput(f"{text}: {chosen!r} is no orbital: write :mo=5")
        number = int(value)
    return cube(*paths, orbital=number, dims=dims, box=box, dt=dt)
