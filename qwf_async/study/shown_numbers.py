"""The numbers of trials that jobs of this host were shown, so that none is given twice: one byte a number.

Users name directories by the numbers of trials. What the server gave is marked when it has answered;
what this host gives itself while the server is away is chosen among the numbers without a mark.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..errors import SpoolFull
from .file_lock import FileLock

_FREE: Final = b"\0"
_SHOWN: Final = b"\1"
_RESERVED: Final = b"\2"
_BLOCK: Final = 4096
"""Bytes read at a time."""

_AHEAD: Final = 65_536
"""Bytes that are written ahead, so that numbers can still be noted when the disk is full."""


class ShownNumbers:
    """The numbers, in one file that all processes of the host share. Its methods raise SpoolFull if it is full."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path)

    def mark(self, number: int) -> bool:
        """Note that a number was shown. Returns False if that was noted before, or it is reserved."""
        with self._lock.held() as file:
            if os.pread(file, 1, number) not in (b"", _FREE):
                return False
            self._write(file, _SHOWN, number)
            return True

    def mark_all(self, numbers: Iterable[int]) -> None:
        """Note that these numbers were shown, whatever was noted before."""
        with self._lock.held() as file:
            for number in numbers:
                self._write(file, _SHOWN, number)

    def take_lowest(self, from_number: int, committed: Iterable[int]) -> int:
        """Reserve the lowest number from this one on that was not shown, and return it.

        Call it within `HostFile.writing` alone, with all numbers that others committed there and that were
        not marked: this marks them. Then a reservation that it meets is of a process that was killed before
        its commit, so that nobody was shown the number: it is taken over.
        """
        with self._lock.held() as file:
            for shown in committed:
                self._write(file, _SHOWN, shown)
            number = from_number
            while block := os.pread(file, _BLOCK, number):
                marked = len(block) - len(block.lstrip(_SHOWN))
                number += marked
                if marked < len(block):
                    break
            self._write(file, _RESERVED, number)
            return number

    def count(self) -> int:
        """How many numbers were shown."""
        found = at = 0
        while block := os.pread(self._lock.descriptor, _BLOCK, at):
            found += block.count(_SHOWN)
            at += len(block)
        return found

    def close(self) -> None:
        """Close the file. It is opened again when needed."""
        self._lock.close()

    def _write(self, file: int, what: bytes, number: int) -> None:
        with suppress(OSError):  # what matters is what follows
            if number >= (size := os.fstat(file).st_size):
                os.pwrite(file, bytes(_AHEAD), size)
        try:
            os.pwrite(file, what, number)
        except OSError as error:
            raise SpoolFull(
                f"the numbers of a study cannot be noted in {self._lock.path} ({error.strerror}): "
                "make room on its disk, or choose another directory"
            ) from error
