"""Opening a source's files: which they are, what is to be given back, and whatever goes wrong in one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from ...errors import InvalidInput, QwfError
from ..foreign import first_line
from .stamp import Files, check_readable


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """`files` are those that the data comes from; a format adds to them. `keep` is closed with the source."""

    files: Files
    keep: ExitStack


@contextmanager
def opening(*paths: str, format: str, directory: bool = False) -> Iterator[Opening]:  # noqa: A002 # the field's own word
    """Open one source of these files, all regular, or where that is allowed a directory.

    Raises InvalidInput if one is not, or if what is done within fails in any way that a
    damaged file can make a library fail; what was kept is closed then.
    """
    files, keep = Files(), ExitStack()
    for path in paths:
        check_readable(path, directory=directory)
        if not os.path.isdir(path):  # of a directory the format says which parts of it
            files.add(path)
    try:
        yield Opening(files=files, keep=keep)
    except QwfError:
        keep.close()
        raise
    except Exception as error:
        keep.close()
        raise InvalidInput(f"{paths[0]} cannot be read as {format}: {first_line(error)}") from error
    except BaseException:
        keep.close()
        raise


def spec_of(path: str, member: str | None) -> str:
    """SOURCE as it could be given again."""
    return path if member is None else f"{path}:{member}"
