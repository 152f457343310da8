"""How the use of a storage ends: with its process, with a fork, or as nobody refers to it any more."""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from contextlib import suppress
from typing import Protocol

from ..errors import QwfError
from .link import Server
from .open_studies import OpenStudies


class Used(Protocol):
    """What a storage needs, that it may be ended."""

    @property
    def is_of_this_process(self) -> bool:
        """Whether it was opened in this process, and not in one that was forked from."""

    def begin(self) -> None:
        """Begin anew, in a process that was forked."""

    def end(self, *, in_order: bool) -> None:
        """Write what waits, and close. Not `in_order`, trials that still run are those of a process that died."""


def watch(storage: Used, studies: OpenStudies, server: Server) -> None:
    """Close it at the end of the process, or when nobody refers to it; let it begin anew in a forked process."""
    weakref.finalize(storage, _give_up, studies, server).atexit = False
    here = weakref.ref(storage)
    atexit.register(_close, here)
    os.register_at_fork(after_in_child=lambda: _begin_again(here))


def _give_up(studies: OpenStudies, server: Server) -> None:
    """Write what nobody can write any more, if that is possible."""
    for study in studies:
        with suppress(QwfError, KeyError):
            study.flush()
    server.close()
    studies.close_files()


def _close(storage: weakref.ref[Used]) -> None:
    found = storage()
    if found is not None and found.is_of_this_process:
        found.end(in_order=not _is_ended_by_error())


def _is_ended_by_error() -> bool:
    """Whether an error or Ctrl-C ends the process. In a session the last error says nothing of its end."""
    return hasattr(sys, "last_type") and not hasattr(sys, "ps1")


def _begin_again(storage: weakref.ref[Used]) -> None:
    found = storage()
    if found is not None:
        found.begin()
