"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import InvalidInput

ZARR_FILES = ("zarr.json", ".zgroup", ".zarray")
"""One of these is in every Zarr directory."""


def check_free(path: Path, *, overwrite: bool, directory: bool = False) -> None:
    """Raises InvalidInput if something is there that is not to be replaced, or of another kind, or no directory for it.

    A `directory` is replaced only if it is a Zarr directory.
    """
    if not os.path.isdir(path.parent):  # each library has its own words for it, and they name the file beside
        raise InvalidInput(f"cannot write {path}: No such file or directory: {path.parent}")
    if not os.path.lexists(path):
        return
    if (
        directory
        and path.exists()
        and not (path.is_dir() and any((path / name).exists() for name in ZARR_FILES))
    ):
        raise InvalidInput(f"{path} is there and is no Zarr directory: name another")
    if not directory and path.exists() and not path.is_file():
        raise InvalidInput(f"{path} is no regular file: name one to write")
    if path.exists() and not overwrite:
        raise InvalidInput(f"{path} is there already: --overwrite replaces it")


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A name beside a file or directory, for what replaces it at the end.

    A symbolic link is followed. After an error what is under that name is removed, and the
    old is as it was.
    """
    target = path.resolve()
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    try:
        yield beside
        if beside.is_dir() and target.is_dir():
            os.rename(target, old)  # a directory that is not empty cannot be replaced in one step
            try:
                os.rename(beside, target)
            except OSError:
                os.rename(old, target)
                raise
        else:
            os.replace(beside, target)
    finally:
        _remove(beside)
        _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
