"""What a file begins with, or what it is if it is a directory or a zip file: by this its format is told."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Final, Self

from .decompression import open_content

HEAD_BYTES: Final = 4096
"""Bytes at the beginning of a file that are looked at."""

ZIP_MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
"""What a zip file begins with, one of members or an empty one. Source: PKWARE's APPNOTE, 4.3.7 and 4.3.16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The content of a file, unpacked if it is compressed.

    `head` are its first HEAD_BYTES, and `file` is all of it; `file` is None for a directory.
    `members` are the names in a zip file, and None if it is none.
    """

    path: str
    file: IO[bytes] | None = None
    head: bytes = b""
    members: Sequence[str] | None = None

    @classmethod
    def of(cls, path: str, keep: ExitStack) -> Self:
        """The content of a file or directory; files are open until `keep` closes.

        Raises InvalidInput if the file cannot be opened, and what a library raises for damage.
        """
        if os.path.isdir(path):
            return cls(path=path)
        file = open_content(path, keep)
        head = file.read(HEAD_BYTES)
        members: Sequence[str] | None = None
        if head.startswith(ZIP_MAGIC):
            with zipfile.ZipFile(file) as archive:
                members = archive.namelist()
        return cls(path=path, file=file, head=head, members=members)
