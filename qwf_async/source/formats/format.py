"""`Format`: what a format of files says of itself, so that nothing else need know it by name.

A format is added by writing its module, which ends in its `Format`, and one line in `table`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ...lattice.grid import Grid, Shape4
from .content import Content
from .variable_source import VariableSource
from .writing import ExportHeader, WriteBox

ChosenFile = tuple[str, str | None]
"""The path of a file, and what is chosen of it after the colon, None for nothing."""


class OpenFile(Protocol):
    """Opens ψ in one file, see `ChosenFile`; the options are those of `files`."""

    def __call__(
        self,
        path: str,
        chosen: str | None,
        /,
        *,
        dims: str | None,
        box: float | Sequence[float] | None,
        dt: float | None,
    ) -> VariableSource: ...


class OpenPair(Protocol):
    """Opens ψ in two files: real part, and imaginary part."""

    def __call__(
        self,
        re: ChosenFile,
        im: ChosenFile,
        /,
        *,
        dims: str | None,
        box: float | Sequence[float] | None,
        dt: float | None,
    ) -> VariableSource: ...


def _any_grid(_: Grid) -> None:
    """Most formats hold ψ on any grid."""


def _single_points(_: Shape4) -> Shape4:
    """Most formats take boxes of any size."""
    return 1, 1, 1, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatWriter:
    """How a format is written.

    `endings` are those by which the format of a new file is told; they can be fewer than those
    that are read. `open` makes `max_files` files at most, a pair for real part and imaginary
    part, or a directory. `check` raises InvalidInput for a grid that the format cannot hold.
    `unit` is the box, [t, x, y, z], whose multiples are written at a time.
    """

    endings: tuple[str, ...]
    open: Callable[[Sequence[Path], ExportHeader], AbstractContextManager[WriteBox]]
    max_files: int = 1
    is_directory: bool = False
    check: Callable[[Grid], None] = _any_grid
    unit: Callable[[Shape4], Shape4] = _single_points


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format.

    `name` is what options call it, and `label` what messages call it. By its `endings` (in small
    letters, the usual one first) a file is told that is not there, or whose content does not
    tell it. `recognises` says whether some content is of this format; it is asked in the order
    of the table, and None means that no content tells the format. `is_text` formats are asked
    last, and their endings count for any text.

    `parameters` are words that can follow the colon as in `shape=64x64x64`: where one does, the
    file has this format whatever it holds. `has_members` is false for a format of a single array
    with nothing to choose. `read_pair` is None unless ψ can be in two files.
    """

    name: str
    label: str
    endings: tuple[str, ...]
    read: OpenFile
    recognises: Callable[[Content], bool] | None = None
    is_text: bool = False
    parameters: tuple[str, ...] = ()
    has_members: bool = True
    read_pair: OpenPair | None = None
    writer: FormatWriter | None = None
