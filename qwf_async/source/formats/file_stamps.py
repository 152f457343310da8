"""The files that a source's data comes from, each with a stamp: its size and the time of its last change.

A format adds every file that a value can come from, also those behind links, virtual data
sets and external storage. `FileStamps` alone looks at them later. Of a directory each file in
it is looked at, so that an older copy put back into it is noticed too. That takes 6 µs a file,
three times in an ingest, where opening and reading an empty file takes 9 µs. A Zarr source
therefore adds the directories of its arrays, and not the whole hierarchy. Not covered: a
changed file whose size and time of change are as before.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ...errors import InvalidInput
from .regular_file import MAX_DEPTH, check_regular

MAX_SPELLED: Final = 2
"""Files whose facts are spelled out in a fingerprint, which is stored; one hash stands for all others."""

MAX_FEW: Final = 8
"""Files that are looked at after each read, 6 µs each. If there are more, they are looked at after the last read."""

Stamp = tuple[str, ...]
"""Facts of one file that differ after a change."""


@dataclass(slots=True)
class FileStamps:
    """The files behind one source, by their real paths, each with its stamp from before it was opened.

    `many`: looking at all of them takes too long to do it after each read.
    """

    many: bool = False
    _stamps: dict[str, Stamp] = field(default_factory=dict)
    _facts: list[str] = field(default_factory=list)

    def add(self, path: str) -> None:
        """Add a file, or a directory with all files in it; called before anything of it is read.

        Raises InvalidInput if it is gone.
        """
        real = os.path.realpath(path)
        if real not in self._stamps:
            self._stamps[real] = stamp(real)
            self.many = self.many or len(self._stamps) > MAX_FEW or os.path.isdir(real)

    def include(self, others: FileStamps) -> None:
        """Add the files of another source, with the stamps that they have there."""
        self._stamps.update(others._stamps)
        self.many = self.many or others.many or len(self._stamps) > MAX_FEW
        self._facts.extend(others._facts)

    def add_facts(self, facts: Stamp) -> None:
        """Add facts of data that can be read only once, as standard input, and so cannot change."""
        self._facts.extend(facts)

    def now(self) -> tuple[str, ...]:
        """Facts that tell these files, as they are now, from others. Raises InvalidInput if one is gone."""
        return (*self._facts, *_listed({path: stamp(path) for path in self._stamps}))

    def changed(self) -> str | None:
        """The first file that is not as it was when it was added. Raises InvalidInput if one is gone."""
        return next((path for path, then in self._stamps.items() if stamp(path) != then), None)


def stamp(path: str) -> Stamp:
    """The size and time of change of a file; of a directory, a hash of those of all files in it.

    Raises InvalidInput if it is gone, and for a pipe or a device, since reading it could wait for ever.
    """
    try:
        now = os.stat(path)
        if not stat.S_ISDIR(now.st_mode):
            check_regular(path, now.st_mode)
            return (f"size={now.st_size}", f"mtime_ns={now.st_mtime_ns}")
        files, digest = 0, hashlib.sha256()
        for name, facts in _within(path, MAX_DEPTH):
            check_regular(name, facts.st_mode)
            digest.update(f"{name}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode(errors="surrogateescape"))
            files += 1
    except OSError as error:
        gone = path if error.filename is None else os.fspath(error.filename)
        raise InvalidInput(f"{gone} is gone: {error.strerror}") from error
    return (f"files={files}", f"sha256={digest.hexdigest()[:32]}")


def _within(directory: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
    """The files in a directory and in those within it, also behind links, in the order of their names."""
    with os.scandir(directory) as scanned:
        entries = sorted(scanned, key=lambda entry: entry.name)
    for entry in entries:
        if not entry.is_dir():
            yield entry.path, entry.stat()
        elif depth:
            yield from _within(entry.path, depth - 1)


def _listed(stamps: dict[str, Stamp]) -> tuple[str, ...]:
    """The facts of the first files as they are, and a hash of those of all others in the order of their paths."""
    listed = [(path, *facts) for path, facts in stamps.items()]
    more = listed[MAX_SPELLED:]
    facts = [fact for each in listed[:MAX_SPELLED] for fact in each]
    if more:
        text = "\0".join(fact for each in sorted(more) for fact in each)
        digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]
        facts += [f"further={len(more)}", f"sha256={digest}"]
    return tuple(facts)
