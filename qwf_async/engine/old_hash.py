"""The old project's hash as a source: fields `x{x}_y{y}_z{z}_t{t}`, values `re,im` in text.

Format: quantum_wavefunc_redis, which wrote one hash field a grid point, the two numbers
with 10 decimals. Its values are stored as they are read: what it rounded away is lost.
It may be on the server that is written to, or on another.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

import anyio.from_thread
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedData, InvalidInput
from ..grid import Box, Grid, Order, Shape4, shape4
from ..layout.flat import Flat
from ..reading import read_box
from ..server.pool import Pool
from ..server.reply import is_number, is_page, is_texts_or_none
from ..source.analytic.parameters import values_of
from ..source.identity import identity
from ..store import Store
from ..wire.fields import field_name

SCAN_FIELDS: Final = 5000
"""Fields that are asked for at a time, about; a small hash comes as a whole."""

SAMPLES: Final = 1024
"""Points whose values go into the fingerprint."""

SPARSE: Final = 16
"""Grid points for each field up to which a hash with gaps is looked through for the first that is missing."""

_WORDS: Final = bytes.maketrans(b"xyzt_\n", b"      ")


@dataclass(frozen=True, slots=True)
class OldFlat(Flat):
    """Layout flat, in a hash of any name."""

    @property
    def key(self) -> bytes:
        return self.base


@dataclass(frozen=True, slots=True, kw_only=True)
class OldHash:
    """An old hash; a Source. It is read from a worker thread of the event loop that opened it."""

    key: str
    grid: Grid
    sampled: str
    server: str
    pool: Pool = field(repr=False)

    @property
    def spec(self) -> str:
        return f"redis-hash:{self.key}"

    @property
    def order(self) -> Order:
        return "C"

    def read(self, box: Box) -> NDArray[Any]:
        """ψ over the box, complex128. Raises InvalidInput if a point is missing or no `re,im`."""
        try:
            return anyio.from_thread.run(read_box, self.pool, _layout(self.key), box)
        except DamagedData as error:
            raise InvalidInput(str(error)) from error

    def fingerprint(self) -> str:
        """Server, key, number of fields, a hash of the values at up to 1024 points, and the grid.

        A change that all these points miss is missed.
        """
        return identity(self.server, self.spec, f"samples={self.sampled}", grid=self.grid)

    def close(self) -> None:
        """There is nothing to give back: the connections are the store's."""


async def open_old_hash(
    store: Store, key: str, *, box: float | tuple[float, ...] | None = None, dt: float | None = None
) -> OldHash:
    """The hash of the old project under a key of the store's server, as a source.

    Its extent is found by scanning its fields; every point within it must be there. `box`:
    extent of each axis in bohr, centred on 0, `dt`: time step in ħ/Eh; unknown unless given.
    Raises InvalidInput if there is no such key, a field has another name, or points are
    missing (it says which); Refused if the key is no hash; ServerUnavailable.
    """
    pool = store.pool
    fields = await pool.call("HLEN", key, expect=is_number, doing=f"reading {key}")
    if not fields:
        raise InvalidInput(f"there is no hash {key!r} on {pool.address.shown}")
    shape = await _extent(pool, key)
    grid = Grid(shape=shape)
    if fields != grid.points:
        raise InvalidInput(await _gap(pool, key, grid, fields))
    if box is not None:
        grid = grid.with_box(values_of(box))
    if dt is not None:
        grid = grid.with_time_step(dt)
    sampled = await _samples(pool, key, grid)
    return OldHash(
        key=key,
        grid=grid,
        sampled=sampled,
        server=pool.address.shown,
        pool=pool,
    )


async def _samples(pool: Pool, key: str, grid: Grid) -> str:
    """A hash of the texts at points spread over the grid, both ends included."""
    places = np.unique(np.linspace(0, grid.points - 1, min(SAMPLES, grid.points)).astype(np.int64))
    t, x, y, z = np.unravel_index(places, grid.shape)
    names = [field_name(*map(int, point)) for point in zip(x, y, z, t, strict=True)]
    found = await pool.call("HMGET", key, *names, expect=is_texts_or_none, doing=f"reading {key}")
    return hashlib.sha256(b"\n".join(text or b"" for text in found)).hexdigest()[:32]


def _layout(key: str) -> OldFlat:
    return OldFlat(base=key.encode(), codec="text10")


async def _extent(pool: Pool, key: str) -> Shape4:
    """One more than the largest index along t, x, y, z."""
    largest = np.zeros(4, np.int64)
    async for names in _scan(pool, key):
        largest = np.maximum(largest, (await anyio.to_thread.run_sync(_indices, key, names)).max(axis=0))
    return shape4(int(n) + 1 for n in largest)


async def _scan(pool: Pool, key: str) -> AsyncIterator[list[bytes]]:
    """The names of the fields, some at a time; a few may come twice."""
    cursor: Any = b"0"
    while True:
        cursor, found = await pool.call(
            "HSCAN", key, cursor, "COUNT", SCAN_FIELDS, expect=is_page, doing=f"scanning {key}"
        )
        if found:
            yield found[0::2]
        if int(cursor) == 0:
            return


def _indices(key: str, names: list[bytes]) -> NDArray[np.int64]:
    """The indices t, x, y, z that field names mean, int64 [n, 4]. Raises InvalidInput for another name."""
    text = b"\n".join(names) + b"\n"
    numbers = text.translate(_WORDS).split()
    plain = text.translate(None, b"0123456789") == b"x_y_z_t\n" * len(names)
    if plain and len(numbers) == 4 * len(names) and max(map(len, numbers)) <= 18:
        return np.array(numbers, np.bytes_).astype(np.int64).reshape(-1, 4)[:, (3, 0, 1, 2)]
    odd = next((name for name in names if not _is_point(name)), names[0])
    raise InvalidInput(
        f"{key} has the field {odd[:60]!r}, which is no point x…_y…_z…_t…: it is no hash of the old project"
    )


def _is_point(name: bytes) -> bool:
    words = name.translate(_WORDS).split()
    return (
        name.translate(None, b"0123456789") == b"x_y_z_t" and len(words) == 4 and max(map(len, words)) <= 18
    )


async def _gap(pool: Pool, key: str, grid: Grid, fields: int) -> str:
    """What to say of a hash that has not as many fields as its grid has points."""
    t, x, y, z = grid.shape
    text = f"{key} has {fields} points, where its grid of {x}×{y}×{z} points and {t} times has {grid.points}"
    if grid.points > SPARSE * fields:
        return text
    there = np.zeros(grid.points, np.bool_)
    async for names in _scan(pool, key):
        there[np.ravel_multi_index(tuple(_indices(key, names).T), grid.shape)] = True
    missing = np.flatnonzero(~there)
    if not len(missing):
        return text
    named = []
    for place in missing[:3].tolist():
        t, x, y, z = (int(i) for i in np.unravel_index(place, grid.shape))
        named.append(f"x{x}_y{y}_z{z}_t{t}")
    return f"{text}: missing are {', '.join(named)}{', …' if len(missing) > 3 else ''}"
