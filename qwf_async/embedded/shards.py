"""The shards of a data directory: how many servers share its wavefunctions, and where each has its files.

One server has its files in the data directory itself. Several have a directory each in it, which
is a whole data directory of its own: shard-1, shard-2 and so on, in the order of their slots.

The number is decided when the directory is used first, and is on the disk before any server
starts. It cannot change: another number would look for keys on other shards. A directory that was
made before there were shards has no such file, but the lock of its server.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from ..errors import InvalidInput, Refused, UsageError
from ..host.directory_sync import sync_directory
from ..wording import option
from .data_dir import DataDir, usable

MAX_SHARDS: Final = 256
"""More than the cores of one machine: each shard is a process with memory of its own."""


def shards_of(directory: Path) -> tuple[Path, ...]:
    """The data directory of each shard; one that was not used yet counts as one shard. Changes nothing. Blocking.

    Raises InvalidInput if the directory cannot be used, or its number of shards cannot be read.
    """
    root = DataDir.of(directory)
    return _places(root, _number(root) or 1)


def was_used(directory: Path) -> bool:
    """Whether a server has used the data directory, or begun to. Changes nothing. Blocking. Raises as `shards_of`."""
    root = DataDir.of(directory)
    return _number(root) is not None or bool(root.files())


def settled_shards(directory: Path, number: int | None) -> tuple[Path, ...]:
    """The data directory of each shard, after the number was decided for good. Blocking.

    `number` is what the user asks for. None is the number of the directory, or 1 for a new one.
    Of several processes that ask at once, the first decides. Raises UsageError for a number that
    is no number of shards, Refused if the directory has another, and InvalidInput as `shards_of`.
    """
    if number is not None and not 1 <= number <= MAX_SHARDS:
        raise UsageError(f"{option('shards', number)}: give a number from 1 to {MAX_SHARDS}")
    root = DataDir.of(directory)
    root.create()
    settled = _number(root) or _settle(root, number or 1)
    if number not in (None, settled):
        raise Refused(
            f"the data in {root.path} lies on {_shards(settled)}, not on {number}: "
            f"leave {option('shards')} away, or load it anew into another {option('data_dir')}"
        )
    return _places(root, settled)


def _places(root: DataDir, number: int) -> tuple[Path, ...]:
    if number == 1:
        return (root.path,)
    return tuple(root.path / f"shard-{shard}" for shard in range(1, number + 1))


def _number(root: DataDir) -> int | None:
    """The number that was decided; None if none was. Raises InvalidInput if it cannot be read."""
    with usable(root.path):
        try:
            text = root.shards_file.read_bytes().decode(errors="replace").strip()
        except (FileNotFoundError, NotADirectoryError):
            text = ""
    if text:
        if text.isdecimal() and 1 <= int(text) <= MAX_SHARDS:
            return int(text)
        raise InvalidInput(
            f"{root.shards_file} does not say how many shards the data has: "
            f"write 1 into it, or how many directories shard-… are beside it"
        )
    return 1 if root.lock_file.exists() else None


def _settle(root: DataDir, number: int) -> int:
    """Decide for this number, unless another process has decided; the number that counts."""
    import fcntl  # absent on Windows, where there is no embedded server

    with usable(root.path):
        descriptor = os.open(root.shards_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # for as long as another process writes one line
            if (settled := _number(root)) is not None:
                return settled
            file.write(f"{number}\n".encode())
            os.fsync(file)
        sync_directory(root.path)
    return number


def _shards(number: int) -> str:
    return "1 shard" if number == 1 else f"{number} shards"
