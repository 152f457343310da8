"""Studies in a file of Optuna's JournalFileBackend: a log of one JSON object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ...errors import DamagedData, InvalidInput
from ...optional import first_line
from ...wording import flag, quoted
from .found import Found
from .journal import read_journal
from .lost_entries import Entry

_BEGINNING: Final = re.compile(rb'\{\s*"op_code"')


class JournalFile:
    """A journal file, which is only read."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self.shown = str(self._path.absolute())

    def read(self, *, skip_holes: bool = False) -> Found:
        """All studies of the file, as far as it is written now.

        A last line that is torn is left out, and `notes` tell it: its writer died, or still writes.
        Raises DamagedData if another line is torn, unless `skip_holes`: then it is left out as
        well, and told. Raises InvalidInput if it cannot be read, or is no journal file.
        """
        torn: list[int] = []
        try:
            end = self._path.stat().st_size
            found = read_journal(
                lambda: self._entries(end, torn, skip_holes=skip_holes), where=self.shown, may_lack=skip_holes
            )
        except OSError as error:
            raise InvalidInput(f"cannot read {self.shown}: {error.strerror or first_line(error)}") from error
        return found.noting([f"line {line:,} of {self.shown} is torn and was left out" for line in torn])

    def _entries(self, end: int, torn: list[int], *, skip_holes: bool) -> Iterator[Entry | None]:
        """The entries of the first `end` bytes; None for a line that is torn, whose number goes to `torn`."""
        torn.clear()
        with self._path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                end -= len(line)
                if end < 0:
                    return  # written since
                if number == 1 and not _BEGINNING.match(line):
                    raise InvalidInput(f"{self.shown} is no journal file of Optuna")
                entry = _parsed(line)
                if entry is not None:
                    yield entry
                    continue
                if end and not skip_holes:
                    raise DamagedData(
                        f"line {number:,} of {self.shown} is torn ({quoted(line[:60].decode(errors='replace'))}): "
                        f"{flag('skip_holes')} leaves it out"
                    )
                torn.append(number)
                yield None
                # Another worker's entry follows on the same line if the writer of the first one died.
                entry = _parsed(line[max(line.rfind(b'{"op_code":', 1), 0) :])
                if entry is not None:
                    yield entry


def _parsed(line: bytes) -> Entry | None:
    """The entry in a line. None if it is no whole line of JSON."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and "op_code" in entry else None
