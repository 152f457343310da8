"""One error out of a group: callers are told what went wrong first, not in how many tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def first_error(error: BaseException) -> BaseException:
    """The first error of nested groups: what went wrong before the rest was cancelled."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@contextmanager
def one_error() -> Iterator[None]:
    """Raise the first error of an ExceptionGroup in its place."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise first_error(group) from group
