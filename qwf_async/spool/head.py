"""The head of a spool: which load its batches belong to, and where they are to go.

The head is in a small file beside the database, and only there, so that it can be read while
another part of this process has the database open. POSIX drops all locks of a process on a
file as soon as the process closes any descriptor of it (fcntl(2)). So to open the database
itself, even to look at it, would let a second process in. The head is written before the
database is created and removed after it, so no database is ever without a head.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import xxhash

from ..catalog.keys import check_name
from ..catalog.manifest import Manifest
from ..errors import DamagedData, InvalidInput
from ..host.directory_sync import sync_directory
from ..host.private_files import check_private_directory, read_private_file
from .sqlite_errors import damaged

FORMAT: Final = 2
"""Version of the head, the tables and the rows together. Rows of version 1 were requests, ready to be sent."""

_MAX_BYTES: Final = 1 << 20
"""Bytes of a head: more is damage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolHead:
    """The load that the batches of one spool belong to.

    `server` identifies the server and its database (`Address.identity`); `prefix` and `name`
    make the keys; `overwrites` is the generation that the load replaces, or "". `run` is the
    run id of the server that the load was written to, or "" if the server did not tell it.
    """

    server: str
    prefix: str
    name: str
    manifest: Manifest
    overwrites: str = ""
    run: str = ""

    def __post_init__(self) -> None:
        check_name(self.prefix, "key prefix")
        check_name(self.name)


def head_path(path: Path) -> Path:
    """The file of the head of the spool `path`."""
    return path.with_suffix(".json")


def check_spool_directory(directory: Path) -> None:
    """Raise InvalidInput if other users may write there, as they could plant a spool; OSError if it is no directory."""
    check_private_directory(directory, "spool directory", "choose another with QWF_SPOOL_DIR")


def read_head(path: Path) -> SpoolHead:
    """The head of the spool `path`. Takes no lock and does not open the database.

    Raises DamagedData if the head is missing, is corrupt, or has another format or generation
    than the one that names the file. Raises InvalidInput if it may not be read, or if other
    users may write to it or to its directory.
    """
    file = head_path(path)
    try:
        check_spool_directory(path.parent)
        text = read_private_file(file, _MAX_BYTES)
    except FileNotFoundError as error:
        raise damaged(path, f"its head {file.name} is missing") from error
    except OSError as error:
        raise InvalidInput(f"the spool's head {file} cannot be read: {error.strerror}") from error
    try:
        value = json.loads(text)
        if value["format"] > FORMAT:
            raise DamagedData(
                f"the spool {path} has format version {value['format']}; "
                f"this program reads up to {FORMAT}: update it"
            )
        if value["format"] < FORMAT:
            raise damaged(path, f"it has the older format version {value['format']}")
        head = value["head"]
        if value["xxh3"] != _checksum(head):
            raise damaged(path, f"the checksum of {file.name} does not match")
        spool_head = SpoolHead(**head | {"manifest": Manifest.from_fields(head["manifest"], str(file))})
    except (KeyError, ValueError, TypeError, RecursionError, InvalidInput) as error:
        raise damaged(path, f"{file.name} is no head of a spool") from error
    if spool_head.manifest.generation != path.stem:
        raise damaged(path, f"{file.name} is the head of generation {spool_head.manifest.generation}")
    return spool_head


def write_head(path: Path, head: SpoolHead) -> None:
    """Write the head to the disk, whole or not at all. Raises OSError."""
    fields = {
        "server": head.server,
        "prefix": head.prefix,
        "name": head.name,
        "manifest": head.manifest.to_fields(),
        "overwrites": head.overwrites,
        "run": head.run,
    }
    text = json.dumps({"format": FORMAT, "xxh3": _checksum(fields), "head": fields}, indent=1)
    file = head_path(path)
    new = file.with_suffix(".new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w") as opened:
            opened.write(text + "\n")
            opened.flush()
            os.fsync(descriptor)
        new.replace(file)
        sync_directory(file.parent)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def _checksum(fields: Mapping[str, Any]) -> str:
    return xxhash.xxh3_64_hexdigest(json.dumps(fields, sort_keys=True).encode())
