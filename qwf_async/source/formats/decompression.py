"""Files that cannot be read where they are: compressed ones, and standard input.

Their bytes go into a temporary file first, a piece at a time. Formats: gzip (RFC 1952), bzip2
and xz, which Python's own library reads.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from importlib import import_module
from typing import IO, Any, Final, cast

from ...errors import InvalidInput
from ...optional import first_line
from .regular_file import open_regular
from .temporary_file import MAX_TEMPORARY_BYTES, no_room_error, temporary_file

STANDARD_INPUT: Final = "-"
"""The name of standard input as a file."""

PIECE_BYTES: Final = 1 << 20
"""Bytes that are moved at a time."""

MAGIC: Final[Mapping[bytes, str]] = {b"\x1f\x8b\x08": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "lzma"}
"""What a compressed file begins with, and the module of Python that reads it."""


def compression_of(head: bytes) -> str | None:
    """The module that unpacks a file with such a beginning, None if it is not compressed."""
    return next((module for mark, module in MAGIC.items() if head.startswith(mark)), None)


def open_content(path: str, keep: ExitStack) -> IO[bytes]:
    """What the file holds, unpacked if it is compressed, as a stream in which one can seek.

    It is open until `keep` closes. Raises InvalidInput if the file cannot be opened.
    """
    file = keep.enter_context(open_regular(path))
    module = compression_of(file.read(8))
    file.seek(0)
    return cast("IO[bytes]", file) if module is None else _stream(module, path, keep)


def decompressed(path: str, keep: ExitStack) -> str:
    """The path of the content: the file's own, or that of a temporary file if the file is compressed.

    The temporary file lasts until `keep` closes. Raises InvalidInput if the file is damaged, or
    unpacks to more than MAX_TEMPORARY_BYTES.
    """
    with open_regular(path) as file:
        module = compression_of(file.read(8))
    if module is None:
        return path
    with ExitStack() as within:
        try:
            return _copy(_stream(module, path, within), path, keep, max_bytes=MAX_TEMPORARY_BYTES)
        except (
            EOFError,
            OSError,
            ValueError,
            import_module("lzma").LZMAError,
            import_module("zlib").error,
        ) as error:
            raise InvalidInput(
                f"{path} is compressed, and cannot be unpacked: {first_line(error)}"
            ) from error


def copied_standard_input(keep: ExitStack) -> tuple[str, tuple[str, ...]]:
    """All of standard input in a temporary file: its path, and facts that tell the data from other data.

    Raises InvalidInput if there is no standard input, or no room for it.
    """
    from xxhash import xxh3_128

    stream = getattr(sys.stdin, "buffer", None)
    if stream is None or stream.closed:
        raise InvalidInput("- is standard input, which is closed: pipe a .npy file into it")
    if stream.isatty():
        raise InvalidInput("- is standard input, which is a terminal: pipe a .npy file into it")
    digest = xxh3_128()
    path = _copy(stream, "standard input", keep, digest=digest)
    return path, (STANDARD_INPUT, f"xxh3={digest.hexdigest()}")


def _stream(module: str, path: str, keep: ExitStack) -> IO[bytes]:
    file = keep.enter_context(open_regular(path))
    return cast("IO[bytes]", keep.enter_context(import_module(module).open(file)))


def _copy(
    stream: IO[bytes], what: str, keep: ExitStack, *, max_bytes: int | None = None, digest: Any = None
) -> str:
    """The path of a temporary file with all that a stream yields."""
    try:
        writer, reader = (keep.enter_context(file) for file in temporary_file())
    except OSError as error:
        raise no_room_error(what, error) from error
    size = 0
    while piece := stream.read(PIECE_BYTES):
        size += len(piece)
        if max_bytes is not None and size > max_bytes:
            raise InvalidInput(
                f"{what} is compressed and unpacks to more than {max_bytes >> 30} GiB: unpack it yourself, and name "
                "what comes out"
            )
        if digest is not None:
            digest.update(piece)
        left = memoryview(piece)
        while left:
            try:
                left = left[writer.write(left) :]
            except OSError as error:
                raise no_room_error(what, error) from error
    return f"/dev/fd/{reader.fileno()}"
