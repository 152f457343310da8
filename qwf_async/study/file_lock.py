"""A lock among the processes of this host: the kernel gives it up for a process that dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .forks import tell_of_forks


class FileLock:
    """A file that one opener at a time has locked (flock(2)), readable by this user alone.

    Two objects exclude each other also within one process. One object is for one thread at a time.
    The child of a fork opens the file for itself: the lock stays with the parent.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened = (0, 0)
        """The process that opened the file, and its descriptor."""
        tell_of_forks(self)

    @property
    def descriptor(self) -> int:
        """The descriptor of the file, opened by this process. Raises OSError."""
        process, descriptor = self._opened
        if process != os.getpid():
            self.close()
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self.path, flags, 0o600)
            self._opened = (os.getpid(), descriptor)
        return descriptor

    @contextmanager
    def held(self) -> Iterator[int]:
        """Within this, the lock is held; waits for it. Yields the descriptor."""
        descriptor = self.descriptor
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield descriptor
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def take(self) -> bool:
        """Take the lock, if nobody has it, and keep it until `close`. Returns whether it is held now."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def touch(self) -> None:
        """Say that the holder of the lock is at work."""
        os.utime(self.descriptor)

    def age(self) -> float:
        """Seconds since somebody said so."""
        return time.time() - os.fstat(self.descriptor).st_mtime

    def close(self) -> None:
        """Give the lock up, and close the file."""
        process, descriptor = self._opened
        if process:
            os.close(descriptor)
            self._opened = (0, 0)

    def before_fork(self) -> None:
        """Nothing is to be done."""

    def after_fork(self) -> None:
        """In the child, let go of the lock of the parent: else it would outlast that."""
        if self._opened[0] != os.getpid():
            self.close()
