"""What the code of others has to say when it fails."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type if it has none: our messages are one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)
