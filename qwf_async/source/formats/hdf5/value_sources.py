"""Where the values of an HDF5 data set come from: virtual data sets, external storage, filters.

The library replaces what it cannot find by fill values without a word, or refuses it in the
middle of a read. So all of it is looked for when a data set is opened. The sources of a virtual
data set, and their own sources, must be there and hold all that is taken of them. Raw files of
external storage must be long enough. Filters must be installed. Sources: HDF5 reference manual,
`H5Pset_virtual`, `H5Pset_external`; h5py issue 1546.
"""

from __future__ import annotations

import importlib
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ....errors import InvalidInput
from .hdf5_links import LinkedFiles, follow
from .virtual_mapping import Piece, SourceMap

SOURCES_VARIABLE: Final = "HDF5_VDS_PREFIX"
"""The variable with directories in which the library looks for sources of virtual data sets."""

RAW_VARIABLE: Final = "HDF5_EXTFILE_PREFIX"
"""The variable with the directory in which it looks for raw files."""

FILTERS: Final[Mapping[int, str]] = {
    307: "bzip2", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32013: "zfp", 32015: "zstd", 32017: "sz",
    32018: "fcidecomp", 32024: "sz3", 32026: "blosc2", 32028: "sperr",
}  # fmt: skip
"""Filters that hdf5plugin brings, by their numbers. Source: registry of filters of The HDF Group."""


@dataclass(slots=True, kw_only=True)
class ValueSources:
    """Finds what the values of data sets come from, and opens their files by `linked`."""

    linked: LinkedFiles
    _open_files: dict[tuple[str, str], int] = field(default_factory=dict)

    def find(self, item: Any, what: str) -> list[Piece]:
        """The pieces of other files that a data set is made of; none if it is not virtual.

        Raises InvalidInput, naming `what`, if values would be missing or cannot be unpacked.
        """
        key = (os.path.realpath(item.file.filename), item.name)
        self._open_files[key] = (
            1  # set before its sources are looked at: a data set can be a source of itself
        )
        if not self.linked.alone and os.path.isfile(item.file.filename):  # h5py has files in memory, too
            self.linked.files.add(item.file.filename)
        self._check_filters(item, what)
        pieces: list[Piece] = []
        if item.is_virtual:
            for source in item.virtual_sources():
                pieces += self._pieces(item, source, what)
        elif item.external:
            self._add_raw_files(item, what)
        self._open_files[key] = 1 + sum(piece.files for piece in pieces)
        return pieces

    def _check_filters(self, item: Any, what: str) -> None:
        """Raises InvalidInput if a block is packed by a filter that is not installed."""
        pipeline = item.id.get_create_plist()
        for step in range(pipeline.get_nfilters()):
            number, _, _, name = pipeline.get_filter(step)
            if self._available(number) or not _packed(item, step):
                continue
            known_as = FILTERS.get(number) or name.decode(errors="replace") or "without a name"
            cure = (
                "pip install hdf5plugin"
                if number in FILTERS
                else "set HDF5_PLUGIN_PATH to the directory of its plugin"
            )
            raise InvalidInput(
                f"{what} is packed by the filter {known_as} ({number}), which is not installed: {cure}"
            )

    def _available(self, number: int) -> bool:
        """Whether the library has a filter, by itself or by hdf5plugin."""
        if self.linked.h5py.h5z.filter_avail(number):
            return True
        try:
            importlib.import_module("hdf5plugin")  # it registers its filters
        except ImportError:
            return False
        return bool(self.linked.h5py.h5z.filter_avail(number))

    def _pieces(self, item: Any, source: Any, what: str) -> list[Piece]:
        """The pieces of one mapping, which can name many sources by a number."""
        mapping = SourceMap.of(source, item.shape, self.linked.h5py.h5s)
        pieces = []
        for number in range(mapping.blocks):
            name, inner = (_numbered(text, number) for text in (source.file_name, source.dset_name))
            shown = inner if name == "." else f"{name}:{inner}"
            file = item.file if name == "." else self.linked.open(name, item.file.filename, SOURCES_VARIABLE)
            if file is None:
                raise InvalidInput(
                    f"{what} is a virtual data set, and its source {name} is missing or is no HDF5 file: its values "
                    f"would be made up; it was looked for beside {item.file.filename}"
                )
            inner_set = follow(self.linked, file, inner, name)
            if not isinstance(inner_set, self.linked.h5py.Dataset):
                raise InvalidInput(
                    f"{what} is a virtual data set, and its source {shown} holds no such data set"
                )
            if fault := mapping.fault(inner_set.shape):
                raise InvalidInput(f"{what} is a virtual data set, and its source {shown} {fault}")
            key = (os.path.realpath(inner_set.file.filename), inner_set.name)
            if key not in self._open_files:
                self.find(inner_set, f"{name}:/{inner.strip('/')}")
            pieces.append(mapping.piece(number, self._open_files[key], inner_set))
        if mapping.counted:
            self._check_none_beyond(item, source, mapping.blocks, what)
        return pieces

    def _check_none_beyond(self, item: Any, source: Any, blocks: int, what: str) -> None:
        """Raises InvalidInput if a source is missing and others follow it.

        The library ends a data set of counted sources before the first that is missing.
        """
        in_name = _COUNT.search(source.file_name) is not None
        last = _numbered(source.file_name, blocks - 1)
        file = item.file if last == "." else self.linked.open(last, item.file.filename, SOURCES_VARIABLE)
        if in_name:
            names = os.listdir(os.path.dirname(os.path.abspath(file.filename)))
            pattern = os.path.basename(source.file_name)
        else:
            group, _, pattern = source.dset_name.rpartition("/")
            names = list(file[group or "/"])
        number = re.compile(re.escape(pattern.replace("%%", "%")).replace("%b", "([0-9]+)", 1))
        beyond = [int(match[1]) for match in map(number.fullmatch, names) if match]
        if max(beyond, default=0) >= blocks:
            missing = _numbered(source.file_name if in_name else source.dset_name, blocks)
            raise InvalidInput(
                f"{what} is a virtual data set, and its source {missing} is missing, though number {max(beyond)} is "
                "there: it would end too soon"
            )

    def _add_raw_files(self, item: Any, what: str) -> None:
        """Add the raw files of external storage, which follow one another.

        Raises InvalidInput if one is missing or too short.
        """
        directory = os.path.dirname(os.path.abspath(item.file.filename))
        prefix = os.environ.get(RAW_VARIABLE, "").replace("${ORIGIN}", directory, 1)
        left = math.prod(item.shape) * item.dtype.itemsize
        for name, offset, size in item.external:
            path = os.path.join(prefix, name)
            taken = min(size, left)
            left -= taken
            try:
                length = os.stat(path).st_size
            except OSError as error:
                raise InvalidInput(
                    f"{what} has its values in {path}, which cannot be read: {error.strerror}; {RAW_VARIABLE} can "
                    "name its directory, '${ORIGIN}' that of the HDF5 file"
                ) from error
            if length < offset + taken:
                raise InvalidInput(
                    f"{what} has its values in {path}, which has {length} bytes where {offset + taken} are needed"
                )
            self.linked.files.add(path)


_COUNT: Final = re.compile(r"(?<!%)(?:%%)*%b")


def _numbered(name: str, number: int) -> str:
    """The name of a source: %b is the number of the block, %% a percent sign."""
    return re.sub("%[b%]", lambda match: "%" if match[0] == "%%" else str(number), name)


def _packed(item: Any, step: int) -> bool:
    """Whether any block was packed by that filter of the pipeline: a block that it cannot shrink is left as it is."""
    packed = False

    def note(block: Any) -> bool | None:
        nonlocal packed
        packed = not block.filter_mask >> step & 1
        return packed or None  # anything but None ends it

    item.id.chunk_iter(note)
    return packed
