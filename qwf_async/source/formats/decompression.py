"""Files that cannot be read where they lie: compressed ones, and standard input.

Their bytes go into a file without a name first, a piece at a time. Formats: gzip (RFC 1952),
bzip2 and xz, which Python's own library reads.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from importlib import import_module
from typing import IO, Any, Final, cast

from ...errors import InvalidInput
from ...optional import first_line
from .contiguous import opened
from .temporary_file import MAX_TEMPORARY_BYTES, no_room_error, temporary_file

STANDARD_INPUT: Final = "-"
"""The name of standard input as a file."""

PIECE: Final = 1 << 20
"""Bytes that are moved at a time."""

MAGIC: Final[Mapping[bytes, str]] = {b"\x1f\x8b\x08": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "lzma"}
"""What a compressed file begins with, and the module of Python that reads it."""


def compression_of(begins: bytes) -> str | None:
    """The module that unpacks a file with such a beginning, if it is compressed."""
    return next((module for magic, module in MAGIC.items() if begins.startswith(magic)), None)


def content(path: str, keep: ExitStack) -> IO[bytes]:
    """What the file holds, unpacked if it is compressed, as a stream that can be sought in. Raises InvalidInput."""
    file = keep.enter_context(opened(path))
    module = compression_of(file.read(8))
    file.seek(0)
    return cast("IO[bytes]", file) if module is None else _stream(module, path, keep)


def unpacked(path: str, keep: ExitStack) -> str:
    """Where the content of the file can be read: the path itself, or that of a nameless file if it is compressed.

    Raises InvalidInput if it is damaged, or is more than BOUND.
    """
    with opened(path) as file:
        module = compression_of(file.read(8))
    if module is None:
        return path
    with ExitStack() as within:
        try:
            return _kept(_stream(module, path, within), path, keep, bound=MAX_TEMPORARY_BYTES)
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


def piped(keep: ExitStack) -> tuple[str, tuple[str, ...]]:
    """All of standard input in a nameless file: where it can be read, and facts that tell it from others.

    Raises InvalidInput if there is none, or no room for it.
    """
    from xxhash import xxh3_128

    stream = getattr(sys.stdin, "buffer", None)
    if stream is None or stream.closed:
        raise InvalidInput("- is standard input, which is closed: pipe a .npy file into it")
    if stream.isatty():
        raise InvalidInput("- is standard input, which is a terminal: pipe a .npy file into it")
    digest = xxh3_128()
    path = _kept(stream, "standard input", keep, digest=digest)
    return path, (STANDARD_INPUT, f"xxh3={digest.hexdigest()}")


def _stream(module: str, path: str, keep: ExitStack) -> IO[bytes]:
    return cast("IO[bytes]", keep.enter_context(import_module(module).open(keep.enter_context(opened(path)))))


def _kept(
    stream: IO[bytes], what: str, keep: ExitStack, *, bound: int | None = None, digest: Any = None
) -> str:
    try:
        writer, reader = (keep.enter_context(file) for file in temporary_file())
    except OSError as error:
        raise no_room_error(what, error) from error
    size = 0
    while piece := stream.read(PIECE):
        size += len(piece)
        if bound is not None and size > bound:
            raise InvalidInput(
                f"{what} is compressed and unpacks to more than {bound >> 30} GiB: unpack it yourself, and name what "
                "comes out"
            )
        if digest is not None:
            digest.update(piece)
        room = memoryview(piece)
        while room:
            try:
                room = room[writer.write(room) :]
            except OSError as error:
                raise no_room_error(what, error) from error
    return f"/dev/fd/{reader.fileno()}"
