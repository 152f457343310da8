"""Writing a file or directory whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread

from ..errors import InvalidInput, QwfError
from ..optional import first_line
from ..source.formats.zarr.zarr_nodes import is_node
from ..wording import flag

T = TypeVar("T")


def check_free(path: Path, *, overwrite: bool, directory: bool = False) -> None:
    """Raises InvalidInput if a path cannot be written, or something is there that is not to be replaced.

    A `directory` is replaced only if it is a Zarr directory. A symbolic link is replaced itself,
    wherever it leads, and what it leads to stays as it is.
    """
    if not os.path.isdir(path.parent):  # the libraries have words of their own, which name the temporary file
        raise InvalidInput(f"cannot write {path}: No such file or directory: {path.parent}")
    if not os.path.lexists(path):
        return
    if not path.is_symlink():
        if directory and not (path.is_dir() and is_node(path)):
            raise InvalidInput(f"{path} is there and is no Zarr directory: name another")
        if not directory and not path.is_file():
            raise InvalidInput(f"{path} is no regular file: name one to write")
    if not overwrite:
        raise InvalidInput(f"{path} is there already: {flag('overwrite')} replaces it")


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path of the same name in a temporary directory: what is written there replaces `path` at the end.

    The temporary directory is beside `path` and this user's alone, so that nobody can put a link
    there through which would be written. A symbolic link at `path` is replaced itself. After an
    error everything is as it was.
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


@contextmanager
def translated_errors(out: str | Path) -> Iterator[None]:
    """Raises InvalidInput, naming `out`, for what the system and the libraries raise if a file cannot be written."""
    try:
        yield
    except QwfError:
        raise
    except OSError as error:
        raise InvalidInput(f"cannot write {out}: {error.strerror or first_line(error)}") from error
    except (RuntimeError, ValueError) as error:  # h5py and zarr raise these for a full disk and the like
        raise InvalidInput(f"cannot write {out}: {first_line(error)}") from error


@asynccontextmanager
async def in_threads(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """A context manager that is entered and left in a worker thread, since both can block; leaving is not cancelled."""
    entered = await anyio.to_thread.run_sync(manager.__enter__)
    try:
        yield entered
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(manager.__exit__, type(error), error, error.__traceback__)
        raise
    with anyio.CancelScope(shield=True):
        await anyio.to_thread.run_sync(manager.__exit__, None, None, None)
