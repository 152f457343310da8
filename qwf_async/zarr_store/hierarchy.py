"""A wavefunction as a Zarr hierarchy: its metadata, its keys, and the box behind each chunk. Pure.

The root is a group that holds the array `psi` [t, x, y, z] and, for each axis, an array of its
coordinates. That array has the name of its dimension, by which xarray recognises it.
Source: Zarr core specification 3.0.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..catalog.manifest import Manifest, conventions_of
from ..errors import UsageError
from ..lattice.grid import AXIS_NAMES, Axis, Grid
from ..lattice.plan import CHUNK_POINTS, BoxPlan
from ..layout import Form
from ..source.formats.mass_attribute import mass_attribute
from ..wire.codec import binary_dtype

PSI: Final = "psi"
METADATA: Final = "zarr.json"
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")

ChunkIndex = tuple[int, ...]
"""A chunk of an array: its number along each axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZarrArray:
    """A Zarr array in chunks of one shape, without compression. Chunks at the edge are padded."""

    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: np.dtype[Any]
    dimensions: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def counts(self) -> tuple[int, ...]:
        """Chunks along each axis."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.chunk, strict=True))

    @property
    def nbytes(self) -> int:
        """Bytes of a chunk."""
        return math.prod(self.chunk) * self.dtype.itemsize

    @property
    def metadata(self) -> bytes:
        """Its `zarr.json`."""
        zero = [0.0, 0.0] if self.dtype.kind == "c" else 0.0
        return _json(
            node_type="array",
            shape=self.shape,
            data_type=self.dtype.name,
            chunk_grid={"name": "regular", "configuration": {"chunk_shape": self.chunk}},
            chunk_key_encoding={"name": "default", "configuration": {"separator": "/"}},
            codecs=[{"name": "bytes", "configuration": {"endian": "little"}}],
            fill_value=zero,
            dimension_names=self.dimensions,
            attributes=self.attributes,
        )

    def holds(self, index: ChunkIndex) -> bool:
        """Whether there are chunks with these numbers along the first axes."""
        return all(0 <= n < count for n, count in zip(index, self.counts, strict=False))

    def start(self, index: ChunkIndex) -> tuple[int, ...]:
        """The first point of a chunk."""
        return tuple(n * c for n, c in zip(index, self.chunk, strict=True))

    def stop(self, index: ChunkIndex) -> tuple[int, ...]:
        """The end of the points that a chunk holds; the rest of it is padding."""
        ends = zip(self.start(index), self.chunk, self.shape, strict=True)
        return tuple(min(a + c, n) for a, c, n in ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """What Zarr finds under which key. Nothing here asks the server."""

    arrays: Mapping[str, ZarrArray]
    attributes: Mapping[str, Any]

    @classmethod
    def of(cls, name: str, manifest: Manifest, *, tiles: bool = False) -> Hierarchy:
        """The hierarchy of a wavefunction stored under a name.

        Chunks of ψ are what is read at once: in layout tile all tiles of a hash, in the others
        boxes of about CHUNK_POINTS. With `tiles` they are the tiles as they are stored. Raises
        UsageError if the layout has none.
        """
        form, grid = manifest.form, manifest.grid
        psi = ZarrArray(
            shape=grid.shape,
            chunk=_chunk(form, tiles),
            dtype=binary_dtype(form.codec) or np.dtype("<c16"),
            dimensions=AXIS_NAMES,
            attributes={"long_name": "wavefunction", **mass_attribute(grid)},
        )
        coordinates = {
            axis: ZarrArray(
                shape=(size,),
                chunk=(min(size, CHUNK_POINTS),),
                dtype=np.dtype("<f8"),
                dimensions=(axis,),
                attributes=_axis_attributes(axis, grid.axes[number]),
            )
            for number, (axis, size) in enumerate(zip(AXIS_NAMES, grid.shape, strict=True))
        }
        attributes = {
            "name": name,
            "generation": manifest.generation,
            "source": manifest.source,
            "created": manifest.created,
            **({} if manifest.norm is None else {"norm": manifest.norm}),
            **{f"convention_{name}": text for name, text in conventions_of(grid).items()},
        }
        return cls(arrays={**coordinates, PSI: psi}, attributes=attributes)

    def document(self, key: str) -> bytes | None:
        """The metadata under a key; None if the key names none."""
        if key == METADATA:
            return _json(node_type="group", attributes=self.attributes)
        name, _, rest = key.partition("/")
        array = self.arrays.get(name)
        return array.metadata if array and rest == METADATA else None

    def chunk(self, key: str) -> tuple[str, ChunkIndex] | None:
        """The array and the index of the chunk under a key; None if the key names none."""
        name, index = self._parsed(key.split("/"))
        if index is None or len(index) != len(self.arrays[name].shape):
            return None
        return name, index

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that begin with a prefix."""
        if METADATA.startswith(prefix):
            yield METADATA
        for name, array in self.arrays.items():
            if not (f"{name}/".startswith(prefix) or prefix.startswith(f"{name}/")):
                continue
            if (key := f"{name}/{METADATA}").startswith(prefix):
                yield key
            for index in product(*map(range, array.counts)):
                if (key := "/".join((name, "c", *map(str, index)))).startswith(prefix):
                    yield key

    def children(self, path: str) -> Iterator[str]:
        """The names of the keys and folders directly in a folder; none if there is no such folder."""
        parts = path.strip("/").split("/")
        if parts == [""]:
            yield METADATA
            yield from self.arrays
        elif len(parts) == 1 and parts[0] in self.arrays:
            yield from (METADATA, "c")
        else:
            name, index = self._parsed(parts)
            if index is not None:
                further = self.arrays[name].counts[len(index) :]
                yield from map(str, range(further[0] if further else 0))

    def _parsed(self, parts: list[str]) -> tuple[str, ChunkIndex | None]:
        """The array that a path names, and the numbers after its `c`; None for those if there are no such chunks."""
        name, *rest = parts
        array = self.arrays.get(name)
        if array is None or rest[:1] != ["c"] or len(rest) - 1 > len(array.shape):
            return name, None
        if not all(_NUMBER.fullmatch(part) for part in rest[1:]):
            return name, None
        index = tuple(map(int, rest[1:]))
        return name, index if array.holds(index) else None


def coordinate_values(grid: Grid, name: str, start: int, stop: int) -> NDArray[np.float64]:
    """The coordinates of points of an axis, in its unit, or their indices if its spacing is not known."""
    number = AXIS_NAMES.index(name)
    if grid.axes[number].step is None:
        return np.arange(start, stop, dtype=np.float64)
    return grid.coordinates(number, start, stop)


def coordinate_chunk(grid: Grid, name: str, array: ZarrArray, index: ChunkIndex) -> bytes:
    """A chunk of the coordinates of an axis."""
    (start,), (stop,) = array.start(index), array.stop(index)
    padded = np.zeros(array.chunk, array.dtype)
    padded[: stop - start] = coordinate_values(grid, name, start, stop)
    return padded.tobytes()


def _chunk(form: Form, tiles: bool) -> tuple[int, ...]:
    scheme = form.scheme
    if tiles:
        if not scheme.zarr_chunks:
            raise UsageError(f"layout {form.layout} has no tiles")
        return scheme.grain
    if scheme.zarr_chunks and isinstance(form.plan, BoxPlan):
        return form.plan.chunk
    plan = BoxPlan.cut(form.shape)
    # As many chunks as in the plan, but all of one shape: Zarr pads the last ones.
    return tuple(-(-n // count) for n, count in zip(form.shape, plan.counts, strict=True))


def _axis_attributes(name: str, axis: Axis) -> dict[str, str]:
    if axis.step is None:
        return {"long_name": f"index along {name}"}
    return {} if axis.unit is None else {"units": axis.unit}


def _json(**members: Any) -> bytes:
    return json.dumps({"zarr_format": 3, **members}).encode()
