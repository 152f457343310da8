"""What a backup says of one wavefunction: a JSON file beside its values, which has a checksum of itself.

NAME.json holds the record that the server had (`meta`), the digest of each chunk of the stored values (xxh3-64, in the
order of the chunks, as hex digits), and name, length and SHA-256 of the file with the values. That is an
ordinary `.npy` file of ψ[t, x, y, z]. Its name has the digest of all values, so a new one never replaces an old one
before the record names it.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..catalog.keys import is_name
from ..catalog.manifest import MALFORMED, RESTORED, Manifest, reason
from ..errors import DamagedData, InvalidInput
from ..host.directory_sync import sync_directory
from ..wire.codec import stored_dtype
from .snapshot import content_of

FORMAT: Final = "qwf backup 1"

ENDING: Final = ".json"

VALUES: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]+)\.[0-9a-f]{16}\.npy(?P<part>\.part)?")
"""The name of a file with values, whole or a part of it so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRecord:
    """One wavefunction in a backup. `digests` has the xxh3-64 of the stored values of each chunk, uint64."""

    name: str
    manifest: Manifest
    digests: NDArray[np.uint64]
    nbytes: int
    checksum: str

    @property
    def copy_of(self) -> str:
        """What a wavefunction that is restored from it says of itself."""
        return f"{RESTORED}{self.name} {self.manifest.generation} {content_of(self.digests)}"

    @property
    def file(self) -> str:
        return values_name(self.name, content_of(self.digests))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the values in the file: complex128 for text."""
        return stored_dtype(self.manifest.form.codec)

    def holds(self, manifest: Manifest, digests: NDArray[np.uint64]) -> bool:
        """Whether it is of the same values, cut into the same chunks of the same grid."""
        return (
            np.array_equal(self.digests, digests)
            and self.manifest.form == manifest.form
            and self.manifest.grid == manifest.grid
        )

    def to_text(self) -> str:
        content = {
            "name": self.name,
            "file": self.file,
            "bytes": self.nbytes,
            "sha256": self.checksum,
            "digests": self.digests.astype(">u8").tobytes().hex(),
            "meta": self.manifest.to_fields(),
        }
        return json.dumps({"format": FORMAT, "sha256": _checksum(content), "wavefunction": content}, indent=1)

    @classmethod
    def read(cls, path: Path) -> BackupRecord:
        """The record in a file. Raises DamagedData, which names it, if it is none, damaged or not to be read."""
        try:
            whole = json.loads(path.read_text("utf-8"))
            content = whole["wavefunction"]
            if whole["format"] != FORMAT:
                raise ValueError(f"its format is not {FORMAT!r}")
            if whole["sha256"] != _checksum(content):
                raise ValueError("its checksum is another")
            record = cls(
                name=content["name"],
                manifest=Manifest.from_fields(content["meta"], "its field meta"),
                digests=np.frombuffer(bytes.fromhex(content["digests"]), ">u8").astype(np.uint64),
                nbytes=content["bytes"],
                checksum=content["sha256"],
            )
            if record.file != content["file"] or f"{record.name}{ENDING}" != path.name:
                raise ValueError("it names other files")
            if len(record.digests) != len(record.manifest.plan):
                raise ValueError("it has not a digest for each chunk")
        except OSError as error:
            raise DamagedData(f"cannot read {path}: {error.strerror}") from error
        except (*MALFORMED, DamagedData) as error:
            raise DamagedData(f"{path} is no record of a backup, or damaged: {reason(error)}") from error
        return record

    def write(self, directory: Path) -> None:
        """Put it in its place, whole, where it replaces an older one. Raises OSError."""
        write_whole(directory / f"{self.name}{ENDING}", self.to_text())


def values_name(name: str, content: str) -> str:
    """The name of the file with the values whose digest is `content`."""
    return f"{name}.{content}.npy"


def recorded_names(directory: Path) -> list[str]:
    """The names that have a record in a directory, sorted. Raises InvalidInput if it cannot be read."""
    try:
        names = [
            entry.name.removesuffix(ENDING) for entry in os.scandir(directory) if entry.name.endswith(ENDING)
        ]
    except OSError as error:
        raise InvalidInput(f"cannot read {directory}: {error.strerror}") from error
    return sorted(name for name in names if is_name(name))


def write_whole(path: Path, text: str) -> None:
    """Write a text file that appears whole, or not at all. Raises OSError."""
    new = path.with_name(f"{path.name}.part")
    try:
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def _checksum(content: Any) -> str:
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
