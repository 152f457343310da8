"""Opening the files of a source: which they are, what is to be closed, and one line for whatever goes wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from ...errors import InvalidInput, QwfError
from ...optional import first_line
from .decompression import STANDARD_INPUT, copied_standard_input, decompressed
from .file_stamps import FileStamps
from .regular_file import check_all_regular, check_readable


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFiles:
    """The files of a source while it is opened.

    `files` are those that the data comes from; a format adds to them. `keep` is closed with the
    source. `paths` are where the files can be read: a compressed file, or standard input, is in a
    temporary file.
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
    """Open the files of one source; "-" is standard input.

    All must be regular, or where that is allowed directories. A compressed file is unpacked,
    unless it is to be taken `as_is`. Raises InvalidInput if a file cannot be used, and for any
    error within that a damaged file can make a library raise; then `keep` is closed.
    """
    files, keep = FileStamps(), ExitStack()
    try:
        readable = tuple(_readable(path, files, keep, directory=directory, as_is=as_is) for path in paths)
        yield OpenFiles(files=files, keep=keep, paths=readable)
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
    """Where the bytes of a file can be read. A directory's format adds the parts of it that the source uses."""
    if path == STANDARD_INPUT:
        path, facts = copied_standard_input(keep)
        files.add_facts(facts)
        return decompressed(path, keep)
    check_readable(path, directory=directory)
    if os.path.isdir(path):
        check_all_regular(os.path.realpath(path))
        return path
    files.add(path)
    return path if as_is else decompressed(path, keep)


def spec_of(path: str, member: str | None) -> str:
    """SOURCE as it could be given again."""
    return path if member is None else f"{path}:{member}"
