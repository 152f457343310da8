"""The lock that lets a data directory have one server at most.

The server itself holds the lock: it inherits the locked file and keeps it open for as long as
it lives. The kernel releases the lock when the process ends, however it ends. So no lock is
left behind by a dead server, and no other process is taken for it. Source: flock(2), on locks
and inherited descriptors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import InvalidInput
from ..wording import option
from .data_dir import DataDir


@contextmanager
def server_lock(data_dir: DataDir) -> Iterator[int | None]:
    """The locked descriptor, or None if another process has the lock. Does not wait.

    A child process that inherited the descriptor keeps the lock when this block ends. Raises
    InvalidInput if the data directory cannot be used, or is on a file system without locks.
    """
    try:
        descriptor = os.open(data_dir.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unusable(data_dir, error) from error
    try:
        locked = _lock(data_dir, descriptor, shared=False) and _is_still(data_dir, descriptor)
        yield descriptor if locked else None
    finally:
        os.close(descriptor)


def is_held(data_dir: DataDir) -> bool:
    """Whether a server of this data directory lives or is being started. Raises InvalidInput as `server_lock`."""
    try:
        descriptor = os.open(data_dir.lock_file, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unusable(data_dir, error) from error
    try:
        # A shared lock, so that two processes that look at the same time do not take each other for a server.
        return not _lock(data_dir, descriptor, shared=True)
    finally:
        os.close(descriptor)


def _lock(data_dir: DataDir, descriptor: int, *, shared: bool) -> bool:
    """Whether the lock could be had at once. Raises InvalidInput on a file system without locks."""
    import fcntl  # absent on Windows, where there is no embedded server

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _unusable(data_dir, error) from error
    return True


def _is_still(data_dir: DataDir, descriptor: int) -> bool:
    """Whether the lock is that of the data directory still, and was not removed with it before it was locked."""
    try:
        return os.path.samestat(os.stat(data_dir.lock_file), os.fstat(descriptor))
    except OSError:
        return False


def _unusable(data_dir: DataDir, error: OSError) -> InvalidInput:
    return InvalidInput(
        f"the lock {data_dir.lock_file} cannot be used: {error.strerror}; "
        f"choose another data directory with {option('data_dir')} or QWF_DATA_DIR"
    )
