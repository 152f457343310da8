"""The data directory of an embedded server, the files in it, and the path of its socket.

The socket cannot be in the data directory: its path may have no more than about 107 bytes,
and a network file system holds no sockets. It is in a directory that nobody else can enter
or replace, because whoever owns the path of the socket is taken for the server.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import InvalidInput
from ..host.private_files import check_private_directory
from ..wording import option

MAX_SOCKET_BYTES: Final = 103
"""Bytes of a path of a socket that every system takes: macOS has room for 104 with the final 0, Linux for 108."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRecord:
    """Where the server listens and on which host it runs, as the command that started it wrote it down.

    `tunables` is what glibc was told in the environment of the server; empty if nothing.
    """

    socket: Path
    host: str
    tunables: str

    @property
    def is_elsewhere(self) -> bool:
        """Whether the server was started on another host, which shares the data directory but not the socket."""
        return self.host != platform.node()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDir:
    """A data directory by its resolved path, and the socket that a server started now would have."""

    path: Path
    socket: Path

    @classmethod
    def of(cls, path: Path) -> DataDir:
        """The data directory of this path; creates nothing. Blocking.

        Raises InvalidInput if the path cannot be resolved, or if there is nowhere to put a socket.
        """
        with usable(path):
            path = path.expanduser().resolve()
        return cls(path=path, socket=_socket(path))

    @property
    def database_file(self) -> Path:
        # Not dump.rdb: somebody else's server may keep its own in this directory.
        return self.path / "qwf.rdb"

    @property
    def configuration_file(self) -> Path:
        return self.path / "qwf.conf"

    @property
    def log_file(self) -> Path:
        return self.path / "qwf.log"

    @property
    def lock_file(self) -> Path:
        return self.path / "qwf.lock"

    @property
    def pid_file(self) -> Path:
        return self.path / "qwf.pid"

    @property
    def shards_file(self) -> Path:
        return self.path / "qwf.shards"

    @property
    def _old_log_file(self) -> Path:
        return self.path / "qwf.log.1"

    @property
    def _record_file(self) -> Path:
        return self.path / "qwf.json"

    def create(self) -> None:
        """Make the data directory if there is none, readable by its owner alone. Raises InvalidInput.

        The mode of a directory that exists is left alone: it may hold other files of its user.
        A directory that everybody may write to is refused, and so is one of another user. They
        could replace our files, and a configuration can name a module that the server runs.
        """
        with usable(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_private_directory(
                self.path, "data directory", f"choose another with {option('data_dir')} or QWF_DATA_DIR"
            )

    def prepare(self, *, tunables: str) -> None:
        """Remove the files that a killed server left, keep its log as qwf.log.1, and write the record of the start.

        Only for the holder of the lock. Raises InvalidInput if a directory cannot be written to.
        """
        with usable(self.socket.parent):
            self.socket.parent.mkdir(mode=0o700, exist_ok=True)
            if not _is_private(self.socket.parent):
                raise InvalidInput(f"{self.socket.parent} is not a directory for this user alone: remove it")
            self.socket.unlink(missing_ok=True)
        with usable(self.path):
            self.pid_file.unlink(missing_ok=True)
            # A server killed while it saves leaves a file as large as its data.
            for unfinished in self.path.glob("temp-*.rdb"):
                unfinished.unlink()
            if self.log_file.exists():
                self.log_file.replace(self._old_log_file)
            record = {"socket": str(self.socket), "host": platform.node(), "tunables": tunables}
            self.write(self._record_file, json.dumps(record))

    def write(self, path: Path, text: str) -> None:
        """Replace a file of the data directory, readable by its owner alone. Raises InvalidInput."""
        with usable(self.path):
            new = path.with_name(path.name + ".new")
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            with open(os.open(new, flags, 0o600), "wb") as file:
                file.write(os.fsencode(text))
            new.replace(path)

    def files(self) -> list[Path]:
        """The files of the server that are there, the lock last: until it goes, nobody starts a server here."""
        with usable(self.path):
            record = self.start_record()
            files = [self.database_file, *self.path.glob("temp-*.rdb"), *self.path.glob("qwf.*.new")]
            files += [self.configuration_file, self.pid_file, self.log_file, self._old_log_file]
            files += [self.socket if record is None else record.socket, self._record_file, self.lock_file]
            return [file for file in files if os.path.lexists(file)]

    def remove(self) -> None:
        """Remove the files of the server, its data among them, and the directory if nothing else is in it.

        Only for the holder of the lock. Raises InvalidInput if a file cannot be removed.
        """
        files = self.files()
        with usable(self.path):
            for file in files:
                file.unlink(missing_ok=True)
        self._remove_if_empty()

    def forget_shards(self) -> bool:
        """Remove the number of shards, and the directory if nothing else is in it; True if there was a number."""
        with usable(self.path):
            there = self.shards_file.exists()
            self.shards_file.unlink(missing_ok=True)
        self._remove_if_empty()
        return there

    def _remove_if_empty(self) -> None:
        with suppress(OSError):
            self.path.rmdir()

    def start_record(self) -> StartRecord | None:
        """What the last start of a server wrote down; None if there is no record or it cannot be read.

        A record that another user wrote is not trusted either, because its socket is taken for ours.
        """
        try:
            with self._record_file.open("rb") as file:
                if os.fstat(file.fileno()).st_uid != os.geteuid():
                    return None
                value = json.load(file)
            return StartRecord(
                socket=Path(value["socket"]), host=value["host"], tunables=value.get("tunables", "")
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def is_same_as(self, directory: str) -> bool:
        """Whether `directory` is this data directory, by this path or another."""
        try:
            return os.path.samefile(directory, self.path)
        except OSError:
            return False


@contextmanager
def usable(directory: Path) -> Iterator[None]:
    """Raise InvalidInput for what the system says of a directory that is read-only, full or forbidden."""
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
    """The path of the socket: in the first runtime directory that is safe, named after the data directory."""
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16] + ".sock"
    for directory in _runtime_directories():
        path = directory / name
        fits = len(os.fsencode(path)) <= MAX_SOCKET_BYTES
        if fits and _is_safe(directory.parent) and (_is_private(directory) or not os.path.lexists(directory)):
            return path
    raise InvalidInput(
        "there is no place for the server's socket: set XDG_RUNTIME_DIR to a directory "
        f"that is yours alone and has a path of less than {MAX_SOCKET_BYTES - len(name) - 5} bytes"
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
        status = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _is_safe(directory: Path) -> bool:
    """Whether only this user and root can replace the files of this user in a directory."""
    try:
        status = directory.stat()
    except OSError:
        return False
    shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX
    return status.st_uid in (0, os.geteuid()) and not shared
