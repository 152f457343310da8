"""A file as SOURCE: its format, which its content tells, and what comes after the colon.

psi.npy                             an array; - is one on standard input
psi.npz:psi                         a member
psi.h5:/path, psi.h5:/re,/im        a data set, or two
run.zarr:/path, run.zarr/path       an array in a directory, or in a zip file of one, run.zarr.zip
psi.nc:psi                          a variable
density.cube, re.cube,im.cube       one real function, or two; orbitals.cube:mo=5
psi.dat:shape=64x64x64,dtype=c16    numbers and nothing else; order=F, offset=1024, marks=4
fr_*.npy, run_*.h5:/psi             several files, each a frame
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import partial

from ...checked import checked
from ...errors import InvalidInput
from .cube.cube import cube
from .detection import unknown
from .file_stamps import check_readable
from .frames import Frame, frames_of
from .hdf5.hdf5 import hdf5
from .locator import FileLocation, expanded, named
from .netcdf.netcdf import netcdf
from .npy import npy
from .npz.npz import npz
from .raw.raw import raw_text
from .variable_source import VariableSource
from .zarr.zarr import zarr

Text = str | os.PathLike[str]

SHOWN = 60
"""Characters of the names of several files that stand for them."""


@checked
def files(
    path: Text | Sequence[Text],
    *,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> VariableSource:
    """ψ in a file of any format that is read, told by its content, or in several files, each a frame.

    `path`: as on the command line, "psi.h5:/path" or "re.cube,im.cube"; a pattern, "fr_*.npy",
    whose files are taken in natural order (fr_2 before fr_10); or a list of such texts, in its
    order. "-" is standard input. `dims`: which dimension of a file is which axis; `box` (bohr)
    and `dt` (ħ/Eh) go before what the files say. Raises InvalidInput if there is no such file,
    if one cannot be used, or if one is not like the first; UsageError if a library is missing.
    """
    texts = [os.fspath(path)] if isinstance(path, str | os.PathLike) else [os.fspath(one) for one in path]
    sources = [source for text in texts for source in expanded(text)]
    if not sources:
        raise InvalidInput("a list of no files is no wavefunction")
    if len(sources) == 1:
        return _one(sources[0], dims=dims, box=box, dt=dt)
    spec = ", ".join(texts)
    return frames_of(
        [Frame(name=one, open=partial(_one, one, dims=dims, box=box, dt=dt)) for one in sources],
        spec=spec if len(spec) <= SHOWN else f"{sources[0]} to {sources[-1]} ({len(sources)} files)",
        box=box,
        dt=dt,
    )


def _one(
    text: str, *, dims: str | None, box: float | Sequence[float] | None, dt: float | None
) -> VariableSource:
    """The source in one file, or in a pair of cube files."""
    found = named(text) or FileLocation(path=text)
    path, rest = found.path, found.rest
    kind = found.told()
    match kind.format:
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
        case "zarr":
            return zarr(path, rest, dims=dims, box=box, dt=dt)
    check_readable(path, directory=True)
    raise unknown(path, kind)


def _cubes(
    text: str, dims: str | None, box: float | Sequence[float] | None, dt: float | None
) -> VariableSource:
    """One cube file or a pair, each perhaps with `:mo=N`."""
    pieces = [text] if os.path.lexists(text) else text.split(",")
    if len(pieces) > 2 or not all(pieces):
        raise InvalidInput(f"{text}: ψ is one cube file, or two, re.cube,im.cube")
    paths, orbitals = [], set()
    for piece in pieces:
        one = named(piece)
        if one is None or one.format != "cube" or (one.rest or "").startswith(","):
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
