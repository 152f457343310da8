"""The file of a backup that holds the values of one wavefunction: a `.npy` file, filled and read chunk by chunk.

It is filled under another name, so that what an interrupted backup had written can be kept: chunks that have the
digest that they should have are not fetched again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalog.manifest import Manifest
from ..errors import DamagedData, InvalidInput
from ..lattice.plan import RangePlan
from ..source.formats.contiguous import check_length, read_contiguous
from ..source.formats.npy import new_npy, read_header
from ..source.formats.regular_file import open_regular
from ..source.formats.writing import take_space
from ..wire.codec import digest, stored_dtype


@dataclass(slots=True, kw_only=True)
class ValuesFile:
    """The values of a wavefunction in a file: `chunk` reads those of a chunk, of its shape, by any thread."""

    path: Path
    manifest: Manifest
    _begin: int = 0

    def check(self) -> None:
        """Raises DamagedData unless the file has the length, shape and dtype that it should have."""
        what, shape, dtype = str(self.path), self.manifest.grid.shape, stored_dtype(self.manifest.form.codec)
        try:
            with open_regular(what) as file:
                header = read_header(file, what)
                self._begin = file.tell()
                check_length(what, os.fstat(file.fileno()).st_size, self._begin, shape, dtype)
        except InvalidInput as error:
            raise DamagedData(f"{error}; the backup is damaged there") from error
        if header != (shape, False, dtype):
            raise DamagedData(f"{what} is of another shape or type than its record says")

    def checksum(self) -> str:
        """The SHA-256 of the whole file. Raises OSError."""
        with self.path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()

    def chunk(self, number: int) -> NDArray[Any]:
        """The values of a chunk of the plan. Raises DamagedData if they cannot be read."""
        plan, shape = self.manifest.plan, self.manifest.grid.shape
        dtype, what = stored_dtype(self.manifest.form.codec), str(self.path)
        chunk = plan[number]
        try:
            with open_regular(what) as file:
                if isinstance(plan, RangePlan):
                    start = number * plan.length
                    along = (slice(start, start + chunk.points),)
                    return read_contiguous(file, what, self._begin, (self.manifest.points,), dtype, along)
                return read_contiguous(file, what, self._begin, shape, dtype, chunk.box.slices)
        except (OSError, InvalidInput) as error:
            raise DamagedData(f"{what} cannot be read: {error}") from error

    def has(self, number: int, expected: int) -> bool:
        """Whether the values of a chunk have this digest."""
        return digest(self.manifest.form.codec, self.chunk(number)) == expected


@dataclass(slots=True, kw_only=True)
class GrowingFile:
    """A file of values that is being filled. `fresh` says that nothing was in it before."""

    values: ValuesFile
    array: np.memmap[Any, Any]
    fresh: bool

    @classmethod
    def open(cls, path: Path, manifest: Manifest) -> GrowingFile:
        """The part that is there, or a new one with room for all. Raises OSError if there is no room."""
        values = ValuesFile(path=path, manifest=manifest)
        shape, dtype = manifest.grid.shape, stored_dtype(manifest.form.codec)
        try:
            values.check()
        except DamagedData:
            path.unlink(missing_ok=True)
            array, fresh = new_npy(path, shape, dtype), True
            values.check()
        else:
            take_space(path)
            array, fresh = np.load(path, mmap_mode="r+"), False
        return cls(values=values, array=array, fresh=fresh)

    def put(self, number: int, values: NDArray[Any]) -> None:
        """Write the values of a chunk."""
        plan = self.values.manifest.plan
        if isinstance(plan, RangePlan):
            start = number * plan.length
            self.array.reshape(-1)[start : start + values.size] = values.reshape(-1)
        else:
            self.array[plan[number].box.slices] = values

    def close(self) -> str:
        """Write all to the disk. Returns the SHA-256 of the file. Raises OSError."""
        self.array.flush()
        with self.values.path.open("rb") as file:
            os.fsync(file.fileno())
        return self.values.checksum()
