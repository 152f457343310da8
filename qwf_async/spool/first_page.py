"""A spool whose first page is damaged: the page is made anew, for there is nothing of the batches in it.

It holds the header of the file and where each table begins, which are the same in every
spool: `create_tables` makes the same tables in the same order in an empty file. What differs is the
number of pages, which SQLite takes from the size of the file if it is 0 here, and the list of
free pages, which are not used again if it is empty here. Rows have checksums of their own:
should a new page fit badly, no row can be taken for what it is not.
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

_PAGES: Final = slice(28, 32)


@contextmanager
def mended(path: Path) -> Iterator[None]:
    """Run the body with a new first page in the file. If it raises DamagedData, the file is as it was.

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
    page[_PAGES] = bytes(4)
    return bytes(page)
