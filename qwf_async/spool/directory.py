"""The directory of spools: each load has a file there, named for its generation."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import InvalidInput, QwfError
from .head import SpoolHead, check_spool_directory, read_head

_SUFFIX: Final = ".spool"
_GENERATION: Final = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolEntry:
    """A spool in a directory. `head` is None if the spool cannot be used, and `problem` says why."""

    path: Path
    head: SpoolHead | None = None
    problem: str = ""


def spool_path(directory: Path, generation: str) -> Path:
    """The file of a load's spool.

    The generation alone names it, for a wavefunction may be called `..`. Raises
    InvalidInput if `generation` is not 16 hex digits.
    """
    if not _GENERATION.fullmatch(generation):
        raise InvalidInput(f"{generation!r} is no generation: 16 hex digits")
    return directory / f"{generation}{_SUFFIX}"


def spools(
    directory: Path, *, server: str | None = None, prefix: str | None = None, name: str | None = None
) -> list[SpoolEntry]:
    """The spools in a directory, oldest load first: those of this server, key prefix and name, where these are given.

    Reads heads alone, so it takes no lock and disturbs none. Spools whose head cannot be read
    are always listed, last, because nobody knows whose they are. A directory that does not
    exist has no spools. Raises InvalidInput if it cannot be listed, or others may write to it.
    """
    try:
        check_spool_directory(directory)
        paths = sorted(path for path in directory.iterdir() if path.suffix == _SUFFIX)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InvalidInput(f"the spool directory {directory} cannot be read: {error.strerror}") from error
    readable: list[tuple[str, SpoolEntry]] = []
    problems = []
    required = {"server": server, "prefix": prefix, "name": name}
    for path in paths:
        if not _GENERATION.fullmatch(path.stem):
            continue
        try:
            head = read_head(path)
        except QwfError as error:
            if os.path.lexists(path):  # else its owner has just deleted it
                problems.append(SpoolEntry(path=path, problem=str(error)))
            continue
        if all(value in (None, getattr(head, field)) for field, value in required.items()):
            readable.append((head.manifest.created, SpoolEntry(path=path, head=head)))
    readable.sort(key=lambda pair: (pair[0], pair[1].path))
    return [spool for _, spool in readable] + problems
