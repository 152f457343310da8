"""Opening a file: what tells it from another, what is to be given back, and whatever goes wrong in one line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from ...errors import InvalidInput, QwfError
from ..foreign import first_line
from .stamp import check_readable, stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """`facts` yields what tells the files from others; `keep` holds what is closed with the source."""

    facts: Callable[[], tuple[str, ...]]
    keep: ExitStack


@contextmanager
def opening(*paths: str, format: str, directory: bool = False) -> Iterator[Opening]:  # noqa: A002 # the field's own word
    """Open one source of these files, all regular, or where that is allowed a directory.

    Raises InvalidInput if one is not, if it was changed meanwhile, or if what is done within
    fails in any way that a damaged file can make a library fail; what was kept is closed then.
    """
    for path in paths:
        check_readable(path, directory=directory)

    real = [os.path.realpath(path) for path in paths]

    def facts() -> tuple[str, ...]:
        return tuple(fact for path in real for fact in stamp(path))

    before, keep = facts(), ExitStack()
    try:
        yield Opening(facts=facts, keep=keep)
        if facts() != before:
            raise InvalidInput(f"{paths[0]} was changed while it was opened: start again")  # noqa: TRY301 # as from the calls within
    except QwfError:
        keep.close()
        raise
    except Exception as error:
        keep.close()
        raise InvalidInput(f"{paths[0]} cannot be read as {format}: {first_line(error)}") from error
    except BaseException:
        keep.close()
        raise


def spec_of(path: str, member: str | None) -> str:
    """SOURCE as it could be given again."""
    return path if member is None else f"{path}:{member}"
