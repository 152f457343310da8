"""Which files a source's data comes from, and what tells each from the same file after a change: size and time of it.

A format names every file that a value can come from, also those behind links, virtual data
sets and external storage; `FileStamps` is the one place that looks at them. Of a directory each
file in it is looked at, so that one put back from a copy, older than others, is noticed too.
That takes 6 µs a file, three times in an ingest, where to open and read one that is empty
takes 9 µs; a Zarr source therefore names the directories of its arrays, and not the whole
hierarchy. Not covered: a file whose size and time of change are as before.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ...errors import InvalidInput

SPELLED: Final = 2
"""Files whose facts are spelled out in a fingerprint, which is stored; of all others there is one hash."""

FEW: Final = 8
"""Files that are looked at after each read: it takes 6 µs each. More are looked at when all was read."""

DEPTH: Final = 64
"""Directories within each other that are looked through: a link may lead back up."""

Stamp = tuple[str, ...]

_KINDS: Final = {
    stat.S_ISDIR: "a directory",
    stat.S_ISFIFO: "a fifo",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


@dataclass(slots=True)
class FileStamps:
    """The files behind one source, by their real paths, each with its stamp from before it was looked into.

    `many`: to look at them takes so long that it is not done after each read.
    """

    many: bool = False
    _stamps: dict[str, Stamp] = field(default_factory=dict)
    _told: list[str] = field(default_factory=list)

    def add(self, path: str) -> None:
        """Another file, or a directory with all files in it; called before anything is read of it.

        Raises InvalidInput if it is gone.
        """
        real = os.path.realpath(path)
        if real not in self._stamps:
            self._stamps[real] = stamp(real)
            self.many = self.many or len(self._stamps) > FEW or os.path.isdir(real)

    def include(self, others: FileStamps) -> None:
        """The files of another source too, as they were when they were added there."""
        self._stamps.update(others._stamps)
        self.many = self.many or others.many or len(self._stamps) > FEW
        self._told.extend(others._told)

    def tell(self, facts: Stamp) -> None:
        """Facts of what can be read once only, as standard input, and so cannot change."""
        self._told.extend(facts)

    def now(self) -> tuple[str, ...]:
        """Facts that tell these files, as they are now, from others. Raises InvalidInput if one is gone."""
        return (*self._told, *_facts({path: stamp(path) for path in self._stamps}))

    def changed(self) -> str | None:
        """The first file that is not as it was when it was added. Raises InvalidInput if one is gone."""
        return next((path for path, then in self._stamps.items() if stamp(path) != then), None)


def stamp(path: str) -> Stamp:
    """The size of a file and when it was changed; of a directory, a hash of these of all files in it.

    Raises InvalidInput if it is gone, and for a pipe or a device, for reading it could wait for ever.
    """
    try:
        now = os.stat(path)
        if not stat.S_ISDIR(now.st_mode):
            _check_regular(path, now)
            return (f"size={now.st_size}", f"mtime_ns={now.st_mtime_ns}")
        files, digest = 0, hashlib.sha256()
        for name, one in _within(path, DEPTH):
            _check_regular(name, one)
            digest.update(f"{name}\0{one.st_size}\0{one.st_mtime_ns}\0".encode(errors="surrogateescape"))
            files += 1
    except OSError as error:
        gone = path if error.filename is None else os.fspath(error.filename)
        raise InvalidInput(f"{gone} is gone: {error.strerror}") from error
    return (f"files={files}", f"sha256={digest.hexdigest()[:32]}")


def check_all_regular(directory: str, depth: int = DEPTH) -> None:
    """Raises InvalidInput if there is a fifo, a socket or a device in a directory, which a library would wait for.

    The kind of an entry is in the directory: a tenth of the time of `stamp`.
    """
    with os.scandir(directory) as found:
        for entry in found:
            if entry.is_dir():
                if depth:
                    check_all_regular(entry.path, depth - 1)
            elif not entry.is_file() and os.path.exists(
                entry.path
            ):  # a link that leads nowhere is waited for by none
                _check_regular(entry.path, entry.stat())


def _check_regular(path: str, now: os.stat_result) -> None:
    if not stat.S_ISREG(now.st_mode):
        raise not_regular(path, now.st_mode)


def _within(directory: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
    """The files in a directory and in those within it, also behind links, in the order of their names."""
    with os.scandir(directory) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if not entry.is_dir():
            yield entry.path, entry.stat()
        elif depth:
            yield from _within(entry.path, depth - 1)


def _facts(stamps: dict[str, Stamp]) -> tuple[str, ...]:
    listed = [(path, *facts) for path, facts in stamps.items()]
    more = listed[SPELLED:]
    facts = [fact for one in listed[:SPELLED] for fact in one]
    if more:
        text = "\0".join(fact for one in sorted(more) for fact in one)
        digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]
        facts += [f"further={len(more)}", f"sha256={digest}"]
    return tuple(facts)


def check_readable(path: str, *, directory: bool = False) -> None:
    """Raises InvalidInput unless there is a regular file, or where that is allowed a directory."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise InvalidInput(f"{path} cannot be opened: {error.strerror}") from error
    except ValueError as error:  # a NUL in the name
        raise InvalidInput(f"{path} cannot be opened: {error}") from error
    if not (stat.S_ISREG(mode) or (directory and stat.S_ISDIR(mode))):
        raise not_regular(path, mode)


def not_regular(path: str, mode: int) -> InvalidInput:
    """What a path is that is no file, and what can be done."""
    kind = next((name for is_one, name in _KINDS.items() if is_one(mode)), "something else")
    advice = "" if stat.S_ISDIR(mode) else "; what comes through it can be piped in, where - is the source"
    return InvalidInput(f"{path} is not a regular file but {kind}{advice}")
