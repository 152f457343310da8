"""A hash of the old project as a source: fields `x{x}_y{y}_z{z}_t{t}`, values `re,im` in text.

Format: quantum_wavefunc_redis, which wrote one hash field for each grid point, as two numbers with
10 decimals. The values are stored as they are read, so what was rounded away is lost. It also kept
temporary fields in the hash, which it cleaned now and then. They are skipped.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import anyio.from_thread
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from ..checked import checked
from ..client.every_node import name_of
from ..client.guard import LISTING_BYTES, reply_limit
from ..client.pool import Pool
from ..client.reply import is_number, is_page, is_texts_or_none
from ..errors import DamagedData, InvalidInput
from ..lattice.grid import Box, Grid, Order, Shape4, shape4
from ..layout import Layout
from ..layout.flat import Flat
from ..source.base import identity
from ..source.parameters import values_of
from ..wire.codec import max_bytes
from ..wire.field_names import field_name
from ..wire.numbered_texts import NumberedTexts
from .reading import read_box
from .store import Store

SCAN_FIELDS: Final = 5000
"""Fields that are asked for at a time, about; a small hash comes as a whole."""

SAMPLED_POINTS: Final = 1024
"""Points whose values go into the fingerprint."""

MAX_SPARSENESS: Final = 16
"""Grid points for each field up to which a hash with gaps is searched for the points that are missing."""

_WORDS: Final = bytes.maketrans(b"xyzt_\n", b"      ")
_POINT: Final = re.compile(rb"x[0-9]{1,18}_y[0-9]{1,18}_z[0-9]{1,18}_t[0-9]{1,18}")
_TEMPORARY: Final = re.compile(rb"(.*[^a-z0-9])?(temp|tmp|temporary)([^a-z].*)?", re.IGNORECASE | re.DOTALL)
"""The name of a temporary field has the word temp, tmp or temporary in it, as temp_1, tmp:x0 or x0_y0_temp."""


@dataclass(frozen=True, slots=True)
class OldFlat(Flat):
    """Layout flat, all in one hash of any name."""

    def _key(self, chunk: int) -> bytes:
        return self.base

    def _keys(self, groups: NDArray[np.int64]) -> NumberedTexts:
        return NumberedTexts(parts=(self.base,), count=len(groups))


@dataclass(frozen=True, slots=True, kw_only=True)
class OldHash:
    """An old hash; a Source. It is read from a worker thread of the event loop that opened it.

    `skipped` are the names of temporary fields, sorted.
    """

    key: str
    grid: Grid
    skipped: Sequence[bytes] = field(repr=False)
    sampled: str
    server: str
    pool: Pool = field(repr=False)

    @property
    def spec(self) -> str:
        return f"redis-hash:{self.key}"

    @property
    def order(self) -> Order:
        return "C"

    @property
    def _layout(self) -> Layout:
        plan = OldFlat.cut(self.grid.shape, self.order, None)
        return OldFlat(base=self.key.encode(), codec="text10", plan=plan, one_hash=True)

    def read(self, box: Box) -> NDArray[Any]:
        """ψ over the box, complex128. Raises InvalidInput if a point is missing or no `re,im`."""
        try:
            return anyio.from_thread.run(read_box, self.pool, self._layout, box)
        except DamagedData as error:
            raise InvalidInput(str(error)) from error

    def fingerprint(self) -> str:
        """Server, key, a hash of the values at up to 1024 points, and the grid.

        A change of other points is not noticed.
        """
        return identity(self.server, self.spec, f"samples={self.sampled}", grid=self.grid)

    def warnings(self) -> list[str]:
        """How many temporary fields are skipped; empty if there are none."""
        if not self.skipped:
            return []
        several = len(self.skipped) > 1
        return [
            f"{self.key} has {len(self.skipped)} temporary field{'s' if several else ''} besides its points "
            f"({_named(self.skipped)}), which {'are' if several else 'is'} skipped"
        ]

    def close(self) -> None:
        """Does nothing: the connections belong to the store."""


@checked
async def open_old_hash(
    store: Store, key: str, *, box: float | tuple[float, ...] | None = None, dt: float | None = None
) -> OldHash:
    """The hash of the old project under a key of the store's server, as a source.

    Its extent is found by scanning its fields. Every point within it must be there, and temporary
    fields are skipped. `box` is the extent of each axis in bohr, centred on 0, and `dt` the time
    step in ħ/Eh; they are unknown unless given. Raises InvalidInput if there is no such key, if a
    field has another name, or if points are missing (it says which). Raises Refused if the key
    is no hash, and ServerUnavailable.
    """
    pool = store.pool
    fields = await pool.call("HLEN", key, expect=is_number, doing=f"reading {key}")
    if not fields:
        raise InvalidInput(f"there is no hash {key!r} on {name_of(pool)}")
    shape, skipped = await _extent(pool, key)
    if len(skipped) == fields:
        raise InvalidInput(f"{key} has no points: all its {len(skipped)} fields are temporary")
    grid = Grid(shape=shape)
    if fields - len(skipped) != grid.points:
        raise InvalidInput(await _gap(pool, key, grid, fields - len(skipped)))
    if box is not None:
        grid = grid.with_box(values_of(box))
    if dt is not None:
        grid = grid.with_time_step(dt)
    sampled = await _samples(pool, key, grid)
    return OldHash(
        key=key,
        grid=grid,
        skipped=sorted(skipped),
        sampled=sampled,
        server=pool.address.shown,
        pool=pool,
    )


async def _samples(pool: Pool, key: str, grid: Grid) -> str:
    """A digest of the texts at points spread over the grid, both ends included."""
    flat_indices = np.unique(
        np.linspace(0, grid.points - 1, min(SAMPLED_POINTS, grid.points)).astype(np.int64)
    )
    t, x, y, z = np.unravel_index(flat_indices, grid.shape)
    names = [field_name(*map(int, point)) for point in zip(x, y, z, t, strict=True)]
    limit = reply_limit(len(names), max_bytes("text10"))
    texts = await pool.call(
        "HMGET", key, *names, expect=is_texts_or_none, doing=f"reading {key}", limit=limit
    )
    return hashlib.sha256(b"\n".join(text or b"" for text in texts)).hexdigest()[:32]


async def _extent(pool: Pool, key: str) -> tuple[Shape4, set[bytes]]:
    """One more than the largest index along t, x, y, z, and the names of the temporary fields."""
    largest = np.full(4, -1, np.int64)
    temporary: set[bytes] = set()
    async for names in _scan(pool, key):
        points, others = await anyio.to_thread.run_sync(_split, key, names)
        temporary.update(others)
        largest = np.maximum(largest, points.max(axis=0, initial=-1))
    return shape4(int(n) + 1 for n in largest), temporary


async def _scan(pool: Pool, key: str) -> AsyncIterator[list[bytes]]:
    """The names of the fields, some at a time; a few may come twice."""
    cursor: Any = b"0"
    while True:
        cursor, pairs = await pool.call(
            "HSCAN",
            key,
            cursor,
            "COUNT",
            SCAN_FIELDS,
            expect=is_page,
            doing=f"scanning {key}",
            limit=LISTING_BYTES,
        )
        if pairs:
            yield pairs[0::2]
        if int(cursor) == 0:
            return


def _split(key: str, names: list[bytes]) -> tuple[NDArray[np.int64], list[bytes]]:
    """The indices t, x, y, z of the points among some fields, int64 [n, 4], and the names of the temporary ones.

    Raises InvalidInput for a field that is neither.
    """
    text = b"\n".join(names) + b"\n"
    numbers = text.translate(_WORDS).split()
    plain = text.translate(None, b"0123456789") == b"x_y_z_t\n" * len(names)
    if plain and len(numbers) == 4 * len(names) and max(map(len, numbers)) <= 18:
        # [4 n] numbers to rows [n, 4] in the order x, y, z, t, and their columns to t, x, y, z.
        return np.array(numbers, np.bytes_).astype(np.int64).reshape(-1, 4)[:, (3, 0, 1, 2)], []
    others = [name for name in names if not _POINT.fullmatch(name)]
    odd = next((name for name in others if not _TEMPORARY.fullmatch(name)), None)
    if odd is not None:
        raise InvalidInput(
            f"{key} has the field {odd[:60]!r}, which is no point x…_y…_z…_t…: it is no hash of the old project"
        )
    points = [name for name in names if _POINT.fullmatch(name)]
    if not points:
        return np.empty((0, 4), np.int64), others
    return _split(key, points)[0], others


async def _gap(pool: Pool, key: str, grid: Grid, fields: int) -> str:
    """In words, that a hash does not have as many fields as its grid has points, and which points are missing."""
    t, x, y, z = grid.shape
    text = f"{key} has {fields} points, where its grid of {x}×{y}×{z} points and {t} times has {grid.points}"
    if grid.points > MAX_SPARSENESS * fields:
        return text
    is_stored = np.zeros(grid.points, np.bool_)
    async for names in _scan(pool, key):
        points, _ = _split(key, names)
        is_stored[np.ravel_multi_index(tuple(points.T), grid.shape)] = True
    missing = np.flatnonzero(~is_stored)
    if not len(missing):
        return text
    examples = []
    for flat_index in missing[:3].tolist():
        t, x, y, z = (int(i) for i in np.unravel_index(flat_index, grid.shape))
        examples.append(f"x{x}_y{y}_z{z}_t{t}")
    return f"{text}: missing are {', '.join(examples)}{', …' if len(missing) > 3 else ''}"


def _named(names: Sequence[bytes]) -> str:
    """The first three of some fields, for a message."""
    return ", ".join(repr(name[:40])[1:] for name in names[:3]) + (", …" if len(names) > 3 else "")
