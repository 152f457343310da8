"""Which file a SOURCE names, and what is chosen of it: `psi.h5:/path`, `run.zarr/psi`, `re.cube,im.cube`.

A file that is there is found by its name, and its content tells its format. Of a file that is
not there the ending says that a file was meant.
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ...errors import InvalidInput
from .decompression import STANDARD_INPUT
from .detection import Detection, detect
from .table import FORMATS, by_ending
from .zarr.zarr_nodes import hierarchy_of, is_node

_COMPRESSED = r"(?:\.(?:gz|bz2|xz))?"


def _endings() -> str:
    """A pattern of all endings of formats, longer ones first."""
    endings = [ending for format_ in FORMATS.values() for ending in format_.endings]
    return "|".join(re.escape(ending) for ending in sorted(endings, key=len, reverse=True))


def _ending_of(path: str) -> re.Match[str] | None:
    """The ending of a path that is one of a format, in the group `ending`, perhaps with one of compression."""
    return re.search(rf"(?P<ending>{_endings()}){_COMPRESSED}/?$", path, re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLocation:
    """A SOURCE that names a file, or by a pattern several.

    `chosen` is what comes after the colon, or from the comma of a pair on; None if nothing does.
    """

    path: str
    chosen: str | None = None

    @property
    def is_pattern(self) -> bool:
        return glob.has_magic(self.path) and not os.path.lexists(self.path)

    @property
    def stated_format(self) -> str | None:
        """The format that the parameters after the colon state, as `shape=…` states raw numbers; None without."""
        for format_ in FORMATS.values():
            if format_.parameters and re.match(rf"(?:{'|'.join(format_.parameters)})=", self.chosen or ""):
                return format_.name
        return None

    def detect(self) -> Detection:
        """What the file is: by what is stated after the colon, else by its content, else by its ending."""
        if (stated := self.stated_format) is not None:
            return Detection(format=stated)
        if self.path == STANDARD_INPUT:
            return Detection(format="npy")
        detection = detect(self.path)
        ending = _ending_of(self.path)
        by_name = None if ending is None else by_ending(ending["ending"])
        can_be_text = detection.is_text and by_name is not None and by_name.is_text
        if detection.format is None and (detection.otherwise is None or can_be_text):
            return Detection(format=None if by_name is None else by_name.name)
        return detection


def locate(text: str) -> FileLocation | None:
    """The file that a SOURCE names; None if it seems to name none."""
    if text == STANDARD_INPUT or os.path.lexists(text):
        return _in_hierarchy(text, None)  # a name may hold a colon or a comma
    for cut in range(len(text) - 1, 0, -1):
        if text[cut] in ":,/" and (location := _cut(text[:cut], text[cut], text[cut + 1 :])) is not None:
            return location
    missing = re.fullmatch(
        rf"(?P<path>.+?(?:{_endings()}){_COMPRESSED})/?(?P<rest>[:,].*)?", text, re.IGNORECASE | re.DOTALL
    )
    if missing is None:
        return FileLocation(path=text) if glob.has_magic(text) else None
    path, rest = missing["path"], missing["rest"]
    return FileLocation(path=path, chosen=rest if rest is None or rest[0] == "," else rest[1:])


def stem(text: str) -> str | None:
    """The name of the file without its ending, or what the names of several have in common; None if it is no file."""
    location = locate(text)
    if location is None:
        return None
    if location.path == STANDARD_INPUT:
        return "stdin"
    name = Path(location.path).name
    if location.is_pattern:
        name = re.sub(r"[_.-]*(\[[^]]*\]|[*?])+", "", name)
    ending = _ending_of(name)
    return name[: ending.start()] if ending else Path(name).stem


def expand(text: str) -> list[str]:
    """A SOURCE for each file if the text is a pattern, in natural order: fr_2 before fr_10. Else the text itself.

    Of a pair, `re_*.cube,im_*.cube`, each pattern has its turn. Raises InvalidInput if there is
    no file of such a name, or not as many of the one half as of the other.
    """
    location = locate(text)
    if location is None or not location.is_pattern:
        return [text]
    paths = sorted(glob.glob(location.path), key=_natural)
    if not paths:
        raise InvalidInput(f"no file has a name like {location.path}")
    if location.chosen is None:
        return paths
    if not location.chosen.startswith(","):
        return [f"{path}:{location.chosen}" for path in paths]
    others = expand(location.chosen[1:])
    if len(others) != len(paths):
        raise InvalidInput(
            f"{text}: {len(paths)} files are like {location.path}, but {len(others)} like {location.chosen[1:]}"
        )
    return [f"{re_},{im}" for re_, im in zip(paths, others, strict=True)]


def _cut(path: str, separator: str, rest: str) -> FileLocation | None:
    """The text cut at a separator, if what is before it is a file, or a pattern, of which something can be chosen."""
    location = FileLocation(path=path, chosen=rest)
    if location.is_pattern:
        if separator == "/" or not glob.glob(path):
            return None
        return FileLocation(path=path, chosen=f",{rest}") if separator == "," else location
    if not os.path.lexists(path):
        return None
    name = location.detect().format
    if name is None:
        return None
    if separator == ",":
        has_pairs = FORMATS[name].read_pair is not None
        return FileLocation(path=path, chosen=f",{rest}") if has_pairs else None
    return _in_hierarchy(path, rest if separator == ":" else rest or None)


def _in_hierarchy(path: str, chosen: str | None) -> FileLocation:
    """The file; for a node of a Zarr hierarchy the hierarchy that it belongs to, and the node as what is chosen."""
    if not is_node(path):
        return FileLocation(path=path, chosen=chosen)
    node = path.rstrip("/") or path
    root = hierarchy_of(node)
    if root == node:
        return FileLocation(path=node, chosen=chosen)
    inner = os.path.relpath(node, root)
    words = [f"{inner}/{word.lstrip('/')}" for word in (chosen or "").split(",")]
    return FileLocation(path=root, chosen=",".join(words).rstrip("/"))


def _natural(path: str) -> list[tuple[int, int | str]]:
    """The order of names in which numbers count by their value."""
    return [(1, int(word)) if word.isdecimal() else (2, word) for word in re.split(r"(\d+)", path) if word]
