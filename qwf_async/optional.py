"""Libraries that not everybody has, and the first line of what a library says when it fails."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import UsageError


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type if it has none: our messages are one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def library(name: str, *, extra: str, what: str) -> Any:
    """A module of a library that not everybody has. Raises UsageError, saying what to install, if it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(
            f"{what} needs {name.partition('.')[0]}, which is not installed: pip install 'qwf_async[{extra}]'"
        ) from error
