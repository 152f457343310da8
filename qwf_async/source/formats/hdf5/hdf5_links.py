"""The data sets of an HDF5 file, by any path that leads to them: hard, soft and external links, to them or to groups.

Format: HDF5 File Format Specification 3.0, "Link Message". Links are followed here, one by
one, because the library does not say through which files it came. A file that another one names
is looked for where the library looks for it (`H5F_prefix_open_file` in its source).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ....errors import InvalidInput
from ..file_stamps import FileStamps

MAX_LINKS: Final = 64
"""Soft and external links on the way to one data set, at most: links can lead in a circle."""

LINKS_VARIABLE: Final = "HDF5_EXT_PREFIX"
"""The variable with directories in which the library looks for the files of external links."""

MAX_OPEN_LINKED: Final = 16
"""Files that are kept open: they can be named again, as by the next mapping of a virtual data set."""


@dataclass(slots=True, kw_only=True)
class LinkedFiles:
    """Opens HDF5 files that others name, and adds each to `files`.

    `alone`: the file that names them was compressed or piped in, so that nothing is beside it.
    """

    h5py: Any
    files: FileStamps
    alone: bool = False
    _open: dict[tuple[str, str], Any] = field(default_factory=dict)

    def open(self, name: str, beside: str, variable: str) -> Any:
        """The file that the file `beside` names; None if the library would find none.

        It may close once `MAX_OPEN_LINKED` others were opened and nothing of it is in use. Raises
        InvalidInput if nothing can be beside the file that names it.
        """
        if self.alone:
            raise InvalidInput(
                f"the HDF5 file names another, {name}, which is looked for beside it: unpack it where that file is"
            )
        if (name, beside) not in self._open:
            if len(self._open) == MAX_OPEN_LINKED:
                del self._open[next(iter(self._open))]
            self._open[name, beside] = self._first(_places(name, beside, os.environ.get(variable, "")))
        return self._open[name, beside]

    def _first(self, places: Iterable[str]) -> Any:
        access = self.h5py.h5p.create(self.h5py.h5p.FILE_ACCESS)
        access.set_cache(0, 0, 0, 0.0)  # blocks are read whole and once
        for place in filter(os.path.exists, places):
            self.files.add(place)
            try:
                return self.h5py.File(
                    self.h5py.h5f.open(os.fsencode(place), self.h5py.h5f.ACC_RDONLY, fapl=access)
                )
            except OSError:  # the library goes on to the next place, too
                continue
        return None

    def close(self) -> None:
        """Close the files, and all that is in use of them. May be called twice."""
        while self._open:
            _, file = self._open.popitem()
            if file is not None:
                file.close()


def data_sets(linked: LinkedFiles, file: Any, path: str, member: str | None) -> dict[str, Any]:
    """The data sets that can be ψ, by their paths; None stands for a link that leads nowhere.

    They are those that `member` names, see `choose_members`, or else all. Raises InvalidInput if
    a link on the way to one that is named leads nowhere.
    """
    h5py = linked.h5py
    words = [word.strip("/") for word in member.split(",")] if member else []
    named = {word: follow(linked, file, word, path) for word in words if word}
    if named and all(_can_be_psi(h5py, item) for item in named.values()):
        return named
    sets = _within(h5py, file["/"], ())
    for word, item in named.items():
        if isinstance(item, h5py.Group):
            pieces = word.split("/")
            above = [file["/"], *(file["/".join(pieces[:n])] for n in range(1, len(pieces)))]
            sets |= {f"{word}/{name}": data_set for name, data_set in _within(h5py, item, above).items()}
    return sets


def follow(linked: LinkedFiles, file: Any, member: str, path: str) -> Any:
    """The object at that path in a file, None if there is none.

    Raises InvalidInput if a link on the way leads nowhere, or if there are too many links.
    """
    h5py = linked.h5py
    at, words, links, via = file["/"], deque(member.split("/")), 0, ""
    while words:
        word = words.popleft()
        if word in ("", "."):
            continue
        link = at.get(word, getlink=True) if isinstance(at, h5py.Group) else None
        if isinstance(link, h5py.HardLink):
            at = at[word]
        elif link is not None:
            links += 1
            via = link.path
            if isinstance(link, h5py.ExternalLink):
                via = f"{link.filename}:{link.path}"
                target = linked.open(link.filename, at.file.filename, LINKS_VARIABLE)
                if target is None:
                    raise InvalidInput(
                        f"{path}:/{member} is a link to {via}, but the file {link.filename} is missing or is no "
                        f"HDF5 file; it was looked for beside {at.file.filename}"
                    )
                at = target["/"]
            elif link.path.startswith("/"):
                at = at.file["/"]
            if links > MAX_LINKS:
                raise InvalidInput(f"{path}:/{member} leads through more than {MAX_LINKS} links: a circle")
            words.extendleft(reversed(link.path.split("/")))
        elif links:
            raise InvalidInput(f"{path}:/{member} is a link to {via}, where there is nothing")
        else:
            return None
    return at


def _places(name: str, beside: str, prefixes: str) -> Iterator[str]:
    """Where the library looks for a file that another one names, in its order."""
    directory = os.path.dirname(os.path.abspath(beside))
    if os.path.isabs(name):
        yield name
        name = os.path.basename(name)
    for prefix in filter(None, prefixes.split(":")):
        yield os.path.join(prefix.replace("${ORIGIN}", directory, 1), name)
    yield os.path.join(directory, name)
    yield name
    yield os.path.join(os.path.dirname(os.path.realpath(beside)), name)


def _within(h5py: Any, group: Any, above: Sequence[Any]) -> dict[str, Any]:
    """The data sets in a group that can be ψ, each by one path; None stands for a link that leads nowhere.

    All hard links are followed before others, so that a data set has the name under which it
    was written. The groups `above` are not entered: a link can lead back up.
    """
    sets: dict[str, Any] = {}
    visited = {_identity(h5py, ancestor) for ancestor in (*above, group)}
    kept, groups, links = [group], deque([("", group)]), deque[tuple[str, Any, str]]()
    while groups or links:
        if groups:
            prefix, item = groups.popleft()
            for name in item:
                if isinstance(item.get(name, getlink=True), h5py.HardLink):
                    _note(h5py, f"{prefix}{name}", item[name], sets, groups, visited)
                else:
                    links.append((f"{prefix}{name}", item, name))
        else:
            path, item, name = links.popleft()
            try:
                target = item[name]
            except (KeyError, OSError, RuntimeError):
                sets[path] = None
            else:
                kept.append(target)  # else its file is closed, and another can get its number
                _note(h5py, path, target, sets, groups, visited)
    return dict(sorted(sets.items()))


def _note(h5py: Any, path: str, item: Any, sets: dict[str, Any], groups: Any, visited: set[Any]) -> None:
    """Note an object that was not seen yet: a data set in `sets`, a group in `groups`, to be looked through."""
    key = _identity(h5py, item)
    if key in visited:
        return
    visited.add(key)
    if isinstance(item, h5py.Group):
        groups.append((f"{path}/", item))
    elif _can_be_psi(h5py, item):
        sets[path] = item


def _identity(h5py: Any, item: Any) -> tuple[int, int]:
    """What tells an object from all others that are open: the number of its file, and its address there."""
    about = h5py.h5o.get_info(item.id)
    return about.fileno, about.addr


def _can_be_psi(h5py: Any, item: Any) -> bool:
    """Whether an object is an array of numbers, or of records of two, and no scale of another array."""
    if not isinstance(item, h5py.Dataset) or not item.shape or h5py.h5ds.is_scale(item.id):
        return False
    try:
        dtype = item.dtype
    except TypeError:  # numpy has nothing like it
        return False
    return dtype.kind in "cfiu" or (dtype.names is not None and len(dtype.names) == 2)
