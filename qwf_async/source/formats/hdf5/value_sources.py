"""Where the values of an HDF5 data set come from: virtual data sets, external storage, filters.

What it cannot find, the library replaces by fill values without a word, or refuses in the
middle of a read. Therefore all of it is looked for when a data set is opened: the sources of
a virtual one, and theirs, and that each holds all that is taken of it; raw files of external
storage, and that they are long enough; filters. Sources: HDF5 reference manual,
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

SOURCES: Final = "HDF5_VDS_PREFIX"
RAW: Final = "HDF5_EXTFILE_PREFIX"
"""Variables with directories in which the library looks for sources, and with that of raw files."""

FILTERS: Final[Mapping[int, str]] = {
    307: "bzip2", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32013: "zfp", 32015: "zstd", 32017: "sz",
    32018: "fcidecomp", 32024: "sz3", 32026: "blosc2", 32028: "sperr",
}  # fmt: skip
"""Filters that hdf5plugin brings, by their numbers. Source: registry of filters of The HDF Group."""


@dataclass(slots=True, kw_only=True)
class ValueSources:
    """Looks through data sets, and opens by `reach` the files that their values come from."""

    reach: LinkedFiles
    _weights: dict[tuple[str, str], int] = field(default_factory=dict)

    def look(self, item: Any, what: str) -> list[Piece]:
        """The pieces of other files that a data set is made of; none if it is not virtual.

        Raises InvalidInput, naming `what`, if values would be missing or cannot be unpacked.
        """
        key = (os.path.realpath(item.file.filename), item.name)
        self._weights[key] = 1  # a data set may be a source of itself
        if not self.reach.alone and os.path.isfile(item.file.filename):  # h5py has files in memory, too
            self.reach.files.add(item.file.filename)
        self._filters(item, what)
        pieces: list[Piece] = []
        if item.is_virtual:
            for source in item.virtual_sources():
                pieces += self._source(item, source, what)
        elif item.external:
            self._raw(item, what)
        self._weights[key] = 1 + sum(piece.files for piece in pieces)
        return pieces

    def _filters(self, item: Any, what: str) -> None:
        pipeline = item.id.get_create_plist()
        for place in range(pipeline.get_nfilters()):
            number, _, _, name = pipeline.get_filter(place)
            if self._available(number) or not _packed(item, place):
                continue
            known = FILTERS.get(number) or name.decode(errors="replace") or "without a name"
            cure = (
                "pip install hdf5plugin"
                if number in FILTERS
                else "set HDF5_PLUGIN_PATH to the directory of its plugin"
            )
            raise InvalidInput(
                f"{what} is packed by the filter {known} ({number}), which is not installed: {cure}"
            )

    def _available(self, number: int) -> bool:
        if self.reach.h5py.h5z.filter_avail(number):
            return True
        try:
            importlib.import_module("hdf5plugin")  # it registers its filters
        except ImportError:
            return False
        return bool(self.reach.h5py.h5z.filter_avail(number))

    def _source(self, item: Any, source: Any, what: str) -> list[Piece]:
        """The pieces of one mapping, which may name many sources by a number."""
        mapping = SourceMap.of(source, item.shape, self.reach.h5py.h5s)
        pieces = []
        for number in range(mapping.blocks):
            name, inner = (_numbered(text, number) for text in (source.file_name, source.dset_name))
            shown = inner if name == "." else f"{name}:{inner}"
            file = item.file if name == "." else self.reach.open(name, item.file.filename, SOURCES)
            if file is None:
                raise InvalidInput(
                    f"{what} is a virtual data set, and its source {name} is missing or is no HDF5 file: its values "
                    f"would be made up; it was looked for beside {item.file.filename}"
                )
            found = follow(self.reach, file, inner, name)
            if not isinstance(found, self.reach.h5py.Dataset):
                raise InvalidInput(
                    f"{what} is a virtual data set, and its source {shown} holds no such data set"
                )
            if fault := mapping.fault(found.shape):
                raise InvalidInput(f"{what} is a virtual data set, and its source {shown} {fault}")
            key = (os.path.realpath(found.file.filename), found.name)
            if key not in self._weights:
                self.look(found, f"{name}:/{inner.strip('/')}")
            pieces.append(mapping.piece(number, self._weights[key], found))
        if mapping.counted:
            self._none_beyond(item, source, mapping.blocks, what)
        return pieces

    def _none_beyond(self, item: Any, source: Any, blocks: int, what: str) -> None:
        """The library ends a counted data set before the first source that is missing: others may follow it."""
        in_name = _COUNT.search(source.file_name) is not None
        last = _numbered(source.file_name, blocks - 1)
        file = item.file if last == "." else self.reach.open(last, item.file.filename, SOURCES)
        if in_name:
            there = os.listdir(os.path.dirname(os.path.abspath(file.filename)))
            wanted = os.path.basename(source.file_name)
        else:
            group, _, wanted = source.dset_name.rpartition("/")
            there = list(file[group or "/"])
        number = re.compile(re.escape(wanted.replace("%%", "%")).replace("%b", "([0-9]+)", 1))
        beyond = [int(found[1]) for found in map(number.fullmatch, there) if found]
        if max(beyond, default=0) >= blocks:
            missing = _numbered(source.file_name if in_name else source.dset_name, blocks)
            raise InvalidInput(
                f"{what} is a virtual data set, and its source {missing} is missing, though number {max(beyond)} is "
                "there: it would end too soon"
            )

    def _raw(self, item: Any, what: str) -> None:
        """External storage: raw files one after another, by their names, first bytes and lengths."""
        directory = os.path.dirname(os.path.abspath(item.file.filename))
        prefix = os.environ.get(RAW, "").replace("${ORIGIN}", directory, 1)
        left = math.prod(item.shape) * item.dtype.itemsize
        for name, offset, size in item.external:
            path = os.path.join(prefix, name)
            taken = min(size, left)
            left -= taken
            try:
                length = os.stat(path).st_size
            except OSError as error:
                raise InvalidInput(
                    f"{what} has its values in {path}, which cannot be read: {error.strerror}; {RAW} can name its "
                    "directory, '${ORIGIN}' that of the HDF5 file"
                ) from error
            if length < offset + taken:
                raise InvalidInput(
                    f"{what} has its values in {path}, which has {length} bytes where {offset + taken} are needed"
                )
            self.reach.files.add(path)


_COUNT: Final = re.compile(r"(?<!%)(?:%%)*%b")


def _numbered(name: str, number: int) -> str:
    """The name of a source: %b is the number of the block, %% a percent sign."""
    return re.sub("%[b%]", lambda found: "%" if found[0] == "%%" else str(number), name)


def _packed(item: Any, place: int) -> bool:
    """Whether any block was packed by the filter at that place: what could not be shrunk was left as it is."""
    packed = False

    def note(block: Any) -> bool | None:
        nonlocal packed
        packed = not block.filter_mask >> place & 1
        return packed or None  # anything but None ends it

    item.id.chunk_iter(note)
    return packed
