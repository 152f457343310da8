"""Where an embedded server lives: the files in its data directory, and its socket.

The socket cannot be in the data directory: its path may have no more than about 107 bytes,
and a network file system holds no sockets. Its directory is one that nobody else can
enter or replace, since whoever owns the socket's name is taken for the server.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import InvalidInput
from ..host.private import check_directory
from ..wording import option

SOCKET_BYTES: Final = 103
"""Longest path of a socket that every system takes: macOS has room for 104 with the final 0, Linux for 108."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the command that started a server left in the data directory for those that look for it."""

    socket: Path
    host: str

    @property
    def is_elsewhere(self) -> bool:
        """Whether it was started on another host, which shares the data directory but not the socket."""
        return self.host != platform.node()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A resolved data directory, and the socket that a server started now would have."""

    data_dir: Path
    socket: Path

    @classmethod
    def of(cls, data_dir: Path) -> Place:
        """Blocking, creates nothing. Raises InvalidInput if the path cannot be one of a directory of ours."""
        with _usable(data_dir):
            data_dir = data_dir.expanduser().resolve()
        return cls(data_dir=data_dir, socket=_socket(data_dir))

    @property
    def database(self) -> Path:
        # Not dump.rdb: somebody else's server may keep its own in this directory.
        return self.data_dir / "qwf.rdb"

    @property
    def configuration(self) -> Path:
        return self.data_dir / "qwf.conf"

    @property
    def log(self) -> Path:
        return self.data_dir / "qwf.log"

    @property
    def lock(self) -> Path:
        return self.data_dir / "qwf.lock"

    @property
    def pidfile(self) -> Path:
        return self.data_dir / "qwf.pid"

    def create(self) -> None:
        """Make the data directory if there is none, for its owner alone. Raises InvalidInput.

        The mode of a directory that exists is left alone: it may hold other things of its
        user's. Refused is one that everybody may write to, or another user's: they could
        replace our files, and a configuration can name a module that the server runs.
        """
        with _usable(self.data_dir):
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_directory(
                self.data_dir, "data directory", f"choose another with {option('data_dir')} or QWF_DATA_DIR"
            )

    def prepare(self) -> None:
        """Clear away what a killed server left, keep its log as qwf.log.1, and record the socket.

        Only for the holder of the lock. Raises InvalidInput if a directory cannot be written to.
        """
        with _usable(self.socket.parent):
            self.socket.parent.mkdir(mode=0o700, exist_ok=True)
            if not _is_private(self.socket.parent):
                raise InvalidInput(f"{self.socket.parent} is not a directory for this user alone: remove it")
            self.socket.unlink(missing_ok=True)
        with _usable(self.data_dir):
            self.pidfile.unlink(missing_ok=True)
            # A server killed while it saves leaves a file as large as its data.
            for unfinished in self.data_dir.glob("temp-*.rdb"):
                unfinished.unlink()
            if self.log.exists():
                self.log.replace(self.log.with_suffix(".log.1"))
            record = {"socket": str(self.socket), "host": platform.node()}
            self.write(self.data_dir / "qwf.json", json.dumps(record))

    def write(self, path: Path, text: str) -> None:
        """Replace a file of the data directory, readable by its owner alone. Raises InvalidInput."""
        with _usable(self.data_dir):
            new = path.with_name(path.name + ".new")
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            with open(os.open(new, flags, 0o600), "wb") as file:
                file.write(os.fsencode(text))
            new.replace(path)

    def record(self) -> Record | None:
        """What the last start left; None if there was none or it cannot be understood.

        Nor is it trusted if another user wrote it: the socket that it names is taken for ours.
        """
        try:
            with (self.data_dir / "qwf.json").open("rb") as file:
                if os.fstat(file.fileno()).st_uid != os.geteuid():
                    return None
                value = json.load(file)
            return Record(socket=Path(value["socket"]), host=value["host"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def holds(self, directory: str) -> bool:
        """Whether `directory` is this data directory, under this name or another."""
        try:
            return os.path.samefile(directory, self.data_dir)
        except OSError:
            return False


@contextmanager
def _usable(directory: Path) -> Iterator[None]:
    """Translate what the system says of a directory that cannot be used (read-only, full, no permission)."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:  # loops of links are RuntimeErrors before 3.13
        if isinstance(error, FileExistsError):
            reason = "it is a file"
        else:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InvalidInput(
            f"the directory {directory} cannot be used: {reason}; "
            f"choose another with {option('data_dir')} or QWF_DATA_DIR"
        ) from error


def _socket(data_dir: Path) -> Path:
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16] + ".sock"
    for directory in _runtime_directories():
        path = directory / name
        fits = len(os.fsencode(path)) <= SOCKET_BYTES
        if fits and _is_safe(directory.parent) and (_is_private(directory) or not os.path.lexists(directory)):
            return path
    raise InvalidInput(
        "there is no place for the server's socket: set XDG_RUNTIME_DIR to a directory "
        f"that is yours alone and has a path of less than {SOCKET_BYTES - len(name) - 5} bytes"
    )


def _runtime_directories() -> Iterator[Path]:
    """The user's runtime directory (XDG Base Directory Specification), else one among the temporary files."""
    user = os.geteuid()
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "qwf"
    yield Path(f"/run/user/{user}/qwf")
    yield Path(tempfile.gettempdir()) / f"qwf-{user}"
    yield Path(f"/tmp/qwf-{user}")  # noqa: S108 # checked to be ours before it is used; TMPDIR can be too long


def _is_private(directory: Path) -> bool:
    """Whether it is a directory (no link) that belongs to this user and lets nobody else in."""
    try:
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _is_safe(directory: Path) -> bool:
    """Whether nobody but this user and root can replace what this user has in a directory."""
    try:
        found = directory.stat()
    except OSError:
        return False
    shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
    return found.st_uid in (0, os.geteuid()) and not shared
