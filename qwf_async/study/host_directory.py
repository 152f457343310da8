"""The directory in which this host keeps files of studies: which file is which study's, and whose they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import xxhash

from ..errors import InvalidInput
from ..host.private_files import check_private_directory, check_private_file

SUFFIX: Final = ".study"
LOCK: Final = ".lock"
MERGE: Final = ".merge"
COPY: Final = ".copy"
SHOWN: Final = ".shown"
_BESIDE: Final = (LOCK, MERGE, COPY, SHOWN, ".study-wal", ".study-shm", ".study-journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyIdentity:
    """Which study it is: `server` is `Address.identity`, `name` what users call it."""

    server: str
    prefix: str
    study_id: int
    name: str


def path_of(directory: Path, identity: StudyIdentity) -> Path:
    """The file of a study in a directory. Another server or prefix has another file."""
    place = _place(identity.server, identity.prefix)
    return directory / f"{identity.study_id}-{place}-{_hash(identity.name)}{SUFFIX}"


def files_on_host(
    directory: Path, *, server: str, prefix: str, study_id: int | None = None, name: str | None = None
) -> list[Path]:
    """The files of studies of a server, that which was opened last first; of one study, or one name, if given.

    Raises InvalidInput if the directory cannot be used. One that does not exist has none.
    """
    study = "*" if study_id is None else str(study_id)
    ending = "*" if name is None else _hash(name)
    try:
        check_study_directory(directory)
        found = directory.glob(f"{study}-{_place(server, prefix)}-{ending}{SUFFIX}")
        return sorted(found, key=lambda path: path.with_suffix(LOCK).stat().st_mtime_ns, reverse=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InvalidInput(
            f"the directory of studies {directory} cannot be read: {error.strerror}"
        ) from error


def check_study_directory(directory: Path) -> None:
    """Raise InvalidInput if others may write there, OSError if it is no directory."""
    check_private_directory(directory, "directory of studies", "choose another")


def check_study_files(path: Path) -> None:
    """Raise InvalidInput if the file of a study, or one beside it, is not this user's alone."""
    for file in (path, *beside(path)):
        if os.path.lexists(file):
            check_private_file(file)


def beside(path: Path) -> list[Path]:
    """The files that may lie beside the file of a study."""
    return [path.with_suffix(ending) for ending in _BESIDE]


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """Within this, an OSError is raised as InvalidInput: the file of the study cannot be used."""
    try:
        yield
    except OSError as error:
        raise InvalidInput(f"the file of a study {path} cannot be used: {error.strerror}") from error


def _place(server: str, prefix: str) -> str:
    return _hash(f"{server} {prefix}")


def _hash(text: str) -> str:
    return xxhash.xxh3_64_hexdigest(text.encode())
