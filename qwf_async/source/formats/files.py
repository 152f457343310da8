"""`files`: ψ in a file of any format, by the text that SOURCE is; its content tells the format.

One array: psi.npy, or - for one on standard input.

A member: psi.npz:psi, psi.nc:psi, psi.h5:/path, or two of them, psi.h5:/re,/im.

An array of a directory: run.zarr:/path or run.zarr/path, or of a zip file of one, run.zarr.zip.

One real function or two: density.cube, re.cube,im.cube, orbitals.cube:mo=5.

Numbers and nothing else: psi.dat:shape=64x64x64,dtype=c16, with order=F, offset=1024, marks=4.

Several files, each a frame: fr_*.npy, run_*.h5:/psi.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Final

from ...checked import checked
from ...errors import InvalidInput
from .detection import unreadable_file
from .format import Format
from .frames import Frame, frames_source
from .locator import FileLocation, expand, locate
from .regular_file import check_readable
from .table import FORMATS
from .variable_source import VariableSource

PathText = str | os.PathLike[str]

MAX_SPEC: Final = 60
"""Characters of the names of several files that stand for them in messages."""


@checked
def files(
    path: PathText | Sequence[PathText],
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
    texts = [os.fspath(path)] if isinstance(path, str | os.PathLike) else [os.fspath(item) for item in path]
    sources = [source for text in texts for source in expand(text)]
    if not sources:
        raise InvalidInput("a list of no files is no wavefunction")
    if len(sources) == 1:
        return _open(sources[0], dims=dims, box=box, dt=dt)
    spec = ", ".join(texts)
    return frames_source(
        [Frame(name=source, open=partial(_open, source, dims=dims, box=box, dt=dt)) for source in sources],
        spec=spec if len(spec) <= MAX_SPEC else f"{sources[0]} to {sources[-1]} ({len(sources)} files)",
        box=box,
        dt=dt,
    )


def _open(
    text: str, *, dims: str | None, box: float | Sequence[float] | None, dt: float | None
) -> VariableSource:
    """The source in one file, or in a pair of files for real part and imaginary part."""
    location = locate(text) or FileLocation(path=text)
    detection = location.detect()
    if detection.format is None:
        check_readable(location.path, directory=True)
        raise unreadable_file(location.path, detection)
    format_ = FORMATS[detection.format]
    if format_.read_pair is not None:
        pieces = _pieces(text, format_)
        if len(pieces) == 2:
            return format_.read_pair(*pieces, dims=dims, box=box, dt=dt)
        ((path, chosen),) = pieces
        return format_.read(path, chosen, dims=dims, box=box, dt=dt)
    if location.chosen is not None and not format_.has_members:
        raise InvalidInput(f"{location.path} is one array: nothing can follow it as in {text}")
    return format_.read(location.path, location.chosen, dims=dims, box=box, dt=dt)


def _pieces(text: str, format_: Format) -> list[tuple[str, str | None]]:
    """The path of one file or those of a pair, each with what is chosen of it.

    Raises InvalidInput if the text names more, or a file of another format.
    """
    pieces = [text] if os.path.lexists(text) else text.split(",")
    pair = ",".join(f"{half}{format_.endings[0]}" for half in ("re", "im"))
    if len(pieces) > 2 or not all(pieces):
        raise InvalidInput(f"{text}: ψ is one {format_.name} file, or two, {pair}")
    located = []
    for piece in pieces:
        location = locate(piece)
        if (
            location is None
            or location.detect().format != format_.name
            or (location.chosen or "").startswith(",")
        ):
            raise InvalidInput(f"{text}: {piece!r} is no {format_.name} file; a pair is written {pair}")
        located.append((location.path, location.chosen))
    return located
