"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InvalidInput
from ..wording import flag

ZARR_FILES = ("zarr.json", ".zgroup", ".zarray")
"""One of these is in every Zarr directory."""


def check_free(path: Path, *, overwrite: bool, directory: bool = False) -> None:
    """Raises InvalidInput if something is there that is not to be replaced, or of another kind, or no directory for it.

    A `directory` is replaced only if it is a Zarr directory. A symbolic link is itself what is
    there, wherever it leads: it may be replaced, and what it leads to stays as it is.
    """
    if not os.path.isdir(path.parent):  # each library has its own words for it, and they name the file beside
        raise InvalidInput(f"cannot write {path}: No such file or directory: {path.parent}")
    if not os.path.lexists(path):
        return
    if not path.is_symlink():
        if directory and not (path.is_dir() and any((path / name).exists() for name in ZARR_FILES)):
            raise InvalidInput(f"{path} is there and is no Zarr directory: name another")
        if not directory and not path.is_file():
            raise InvalidInput(f"{path} is no regular file: name one to write")
    if not overwrite:
        raise InvalidInput(f"{path} is there already: {flag('overwrite')} replaces it")


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A path of the same name in a new directory beside it, for the file or directory that takes its place at the end.

    The new directory is this user's alone, so that nobody can put a link there to be written
    through. A symbolic link at `path` is replaced itself. After an error everything is as it was.
    """
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        new, old = beside / path.name, beside / "old"
        yield new
        if new.is_dir() and os.path.lexists(path):
            os.rename(path, old)  # a directory replaces neither a link nor a directory that is not empty
            try:
                os.rename(new, path)
            except OSError:
                os.rename(old, path)
                raise
        else:
            os.replace(new, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
