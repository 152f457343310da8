"""The lock by which a data directory has at most one server.

The server itself holds it: it inherits the locked file and keeps it open for as long as it
lives. The kernel lets go of it with the process, however that ends, so no lock goes stale
and no process id is mistaken. Source: flock(2), on locks and inherited descriptors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import InvalidInput
from ..wording import option
from .data_dir import Place


@contextmanager
def server_lock(place: Place) -> Iterator[int | None]:
    """Take the lock without waiting; yields the locked descriptor, or None if it is taken.

    A process that was given the descriptor keeps the lock when this block is left. Raises
    InvalidInput if the data directory cannot be used, or is on a file system without locks.
    """
    try:
        descriptor = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unusable(place, error) from error
    try:
        yield descriptor if _take(place, descriptor, shared=False) else None
    finally:
        os.close(descriptor)


def is_held(place: Place) -> bool:
    """Whether a server of this data directory lives or is being started. Raises InvalidInput as above."""
    try:
        descriptor = os.open(place.lock, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unusable(place, error) from error
    try:
        # Shared, so that two who look at the same time do not take each other for a server.
        return not _take(place, descriptor, shared=True)
    finally:
        os.close(descriptor)


def _take(place: Place, descriptor: int, *, shared: bool) -> bool:
    import fcntl  # absent on Windows, where there is no embedded server

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _unusable(place, error) from error
    return True


def _unusable(place: Place, error: OSError) -> InvalidInput:
    return InvalidInput(
        f"the lock {place.lock} cannot be used: {error.strerror}; "
        f"choose another data directory with {option('data_dir')} or QWF_DATA_DIR"
    )
