"""The log of a command: what happens, with times, on standard error or in a file."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from ..errors import UsageError
from ..wording import printable
from .output import say

COMMAND: Final = logging.getLogger("qwf_async.command")
"""Where the command itself writes: that it began, and how it failed."""

_ROOT: Final = logging.getLogger("qwf_async")
_SAID: Final = ("qwf_async.notes", "qwf_async.command")
"""Loggers of what the command prints anyway: on standard error it would stand there twice."""


class Log:
    """Where one command writes what happens, until the command ends."""

    def __init__(self) -> None:
        self._handlers: list[logging.Handler] = []
        self._verbosity = 0
        self._level = _ROOT.level

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for handler in self._handlers:
            _ROOT.removeHandler(handler)
            handler.close()
        _ROOT.setLevel(self._level)

    def tell_more(self, steps: int) -> None:
        """Write to standard error what happens; from the second step on the details, too."""
        if not self._verbosity:
            self._add(_StandardError())
        self._verbosity += steps
        _ROOT.setLevel(logging.DEBUG if self._verbosity > 1 else logging.INFO)

    def write_to(self, path: Path) -> None:
        """Write what happens to the end of a file. Raises UsageError if it cannot be written."""
        try:
            file = _File(path, encoding="utf-8", errors="backslashreplace")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"--log-file {str(path)!r} cannot be written: {reason}") from error
        if not self._verbosity:
            _ROOT.setLevel(logging.INFO)
        self._add(file)

    def _add(self, handler: logging.Handler) -> None:
        handler.setFormatter(_WithTime())
        _ROOT.addHandler(handler)
        self._handlers.append(handler)


class _WithTime(logging.Formatter):
    """Begins with the time, in ISO 8601 with the offset from UTC; each record is one line."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
        return f"{time} {record.levelname} {record.name}: {printable(record.getMessage())}"


class _File(logging.FileHandler):
    """The end of a file. What does not go into it, as on a full disk, stops no command: it is said, once."""

    _failed = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 # as logging calls it
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._failed:
            self._failed = True
            with suppress(OSError):
                say(f"--log-file {self.baseFilename!r} lacks what happens from here on: {error.strerror}")

    def close(self) -> None:
        with suppress(OSError):  # what it holds back yet, and was said to be lacking
            super().close()


class _StandardError(logging.Handler):
    """Writes to what is standard error at that moment: a progress bar puts itself in its place."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.name not in _SAID

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # it may be closed, as by `2>&-`
            say(self.format(record))
