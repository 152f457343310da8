"""A new first page for a spool whose first page is damaged: nothing of the batches is in that page.

The page holds the header of the file and where each table begins. They are the same in every
spool, because `create_tables` makes the same tables in the same order in an empty file. Two
things differ. The number of pages is set to 0, and SQLite then takes it from the size of the
file. The list of free pages is left empty, so they are not used again. Every row has a
checksum of its own, so even if the new page did not fit, no row could be taken for another.
Source: "Database File Format" of SQLite's documentation, sections 1.3 and 2.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ..errors import DamagedData
from .database import PAGE_BYTES, connect, create_tables

_PAGE_COUNT: Final = slice(28, 32)


@contextmanager
def mended(path: Path) -> Iterator[None]:
    """Run the body with a new first page in the file. If the body raises DamagedData, the file is put back as it was.

    Raises OSError if the file cannot be read or written.
    """
    size = path.stat().st_size
    with path.open("r+b") as file:
        before = file.read(PAGE_BYTES)
        file.seek(0)
        file.write(_first_page())
    try:
        yield
    except DamagedData:
        with path.open("r+b") as file:
            file.write(before)
            file.truncate(size)
        raise


def _first_page() -> bytes:
    with TemporaryDirectory(prefix="qwf-") as directory:
        path = Path(directory) / "empty"
        path.touch()
        with closing(connect(path)) as connection:
            create_tables(connection)
        page = bytearray(path.read_bytes()[:PAGE_BYTES])
    page[_PAGE_COUNT] = bytes(4)
    return bytes(page)
