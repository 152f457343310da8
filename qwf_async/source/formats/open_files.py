"""Opening a source's files: which they are, what is to be given back, and whatever goes wrong in one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from ...errors import InvalidInput, QwfError
from ...optional import first_line
from .decompression import STANDARD_INPUT, piped, unpacked
from .file_stamps import FileStamps, check_all_regular, check_readable


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFiles:
    """`files` are those that the data comes from; a format adds to them. `keep` is closed with the source.

    `paths` are where the files can be read: what is compressed, or was piped in, lies elsewhere
    than under its own name.
    """

    files: FileStamps
    keep: ExitStack
    paths: tuple[str, ...]

    @property
    def path(self) -> str:
        """Where the first file can be read."""
        return self.paths[0]


@contextmanager
def open_files(
    *paths: str,
    format: str,  # noqa: A002 # the field's own word
    directory: bool = False,
    as_is: bool = False,
) -> Iterator[OpenFiles]:
    """Open one source of these files, all regular, or where that is allowed a directory; "-" is standard input.

    A compressed file is unpacked, unless it is to be taken `as_is`. Raises InvalidInput if one
    cannot be used, or if what is done within fails in any way that a damaged file can make a
    library fail; what was kept is closed then.
    """
    files, keep = FileStamps(), ExitStack()
    try:
        found = tuple(_readable(path, files, keep, directory=directory, as_is=as_is) for path in paths)
        yield OpenFiles(files=files, keep=keep, paths=found)
    except QwfError:
        keep.close()
        raise
    except Exception as error:
        keep.close()
        raise InvalidInput(f"{paths[0]} cannot be read as {format}: {first_line(error)}") from error
    except BaseException:
        keep.close()
        raise


def _readable(path: str, files: FileStamps, keep: ExitStack, *, directory: bool, as_is: bool) -> str:
    """Where the bytes of a file are read; of a directory the format says which parts of it are the source's."""
    if path == STANDARD_INPUT:
        path, facts = piped(keep)
        files.tell(facts)
        return unpacked(path, keep)
    check_readable(path, directory=directory)
    if os.path.isdir(path):
        check_all_regular(os.path.realpath(path))
        return path
    files.add(path)
    return path if as_is else unpacked(path, keep)


def spec_of(path: str, member: str | None) -> str:
    """SOURCE as it could be given again."""
    return path if member is None else f"{path}:{member}"
