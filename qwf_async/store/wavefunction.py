"""A stored wavefunction: its values by index, and facts about it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..catalog.key_memory import bytes_per_point
from ..catalog.keys import Keys
from ..catalog.manifest import Manifest
from ..catalog.still_published import explained
from ..client.address import Address
from ..client.connection import now
from ..client.pool import Pool
from ..client.reply import is_number, is_text_or_none
from ..errors import DamagedData, InvalidInput, UsageError
from ..lattice.grid import Box, shape4
from ..lattice.plan import BoxPlan
from ..lattice.selection import Selection, scattered
from ..layout import Place
from ..settings import Settings
from ..wire.codec import binary_dtype
from .reading import read_pieces, read_point, read_scattered
from .sparse import read_sparse
from .store_pool import StorePool


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexReader:
    """`await psi.read[0, 10:20, :, 64]`: NumPy's basic indexing of ψ[t, x, y, z]."""

    wavefunction: Wavefunction

    def __getitem__(self, index: Any) -> Coroutine[Any, Any, NDArray[Any]]:
        """A coroutine of the selected values, in `Wavefunction.dtype`. For one point it is an array without axes.

        Raises InvalidInput for an index that is not basic, has too many items, or has an integer
        outside the grid. The coroutine raises as `Wavefunction.point`.
        """
        selection = Selection.of(self.wavefunction.manifest.grid.shape, index)
        return self.wavefunction.read_selection(selection)


class Wavefunction:
    """One published generation. It never changes into another: if it was replaced, reading raises Refused."""

    def __init__(self, connections: StorePool, settings: Settings, name: str, manifest: Manifest) -> None:
        self.settings = settings
        self.name = name
        self.manifest = manifest
        self._connections = connections
        self._keys = Keys(prefix=settings.prefix, name=name)
        self._layout = manifest.form.open(self._keys.base(manifest.generation), arena=connections.arena)

    @property
    def address(self) -> Address:
        """Where its server is, also after its store was closed."""
        return self._connections.address

    @property
    def _reading(self) -> Pool:
        """The connections to read values over."""
        pool = self._connections.pool
        return pool.from_replicas if self.settings.read_from == "replica" else pool

    async def point(self, x: int, y: int = 0, z: int = 0, t: int = 0) -> complex:
        """ψ at one grid point, in the order x, y, z, t; an index below 0 counts from the end, as in NumPy.

        Raises InvalidInput outside the grid, DamagedData if the point is missing on the
        server, and Refused if the wavefunction was replaced or removed since it was opened.
        """
        start = self.manifest.grid.index(x, y, z, t)
        box = Box(start=start, stop=shape4(i + 1 for i in start))
        begun = now()
        try:
            value = await read_point(self._reading, self._layout, box)
        except DamagedData as error:
            raise await self._explained(error) from error
        self._count_read(1, begun)
        return value

    def where(self, x: int, y: int = 0, z: int = 0, t: int = 0) -> Place:
        """Where ψ at one grid point lies on the server: the key, the field and the bytes of it.

        The indices are as for `point`. Any client reads it by HGET; the bytes are of `dtype`, or
        the text `re,im` for codec text10. Raises InvalidInput outside the grid.
        """
        return self._layout.place(self.manifest.grid.index(x, y, z, t))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of what is read: complex64 for codec c8, else complex128."""
        return np.dtype(binary_dtype(self.manifest.form.codec) or np.complex128)

    @property
    def read(self) -> IndexReader:
        """Read a selection by index: `await psi.read[0, 10:20, :, 64]`."""
        return IndexReader(wavefunction=self)

    async def read_points(self, points: ArrayLike) -> NDArray[Any]:
        """ψ at many points that lie anywhere, [N] in `dtype`.

        `points` are integers [N, 4] in the order x, y, z, t, as for `point`. The rows may have any order, and
        points may come more than once. Raises InvalidInput for another shape or dtype, and for
        points outside the grid, with their rows; else as `point`.
        """
        indices = scattered(self.manifest.grid.shape, points)
        result = np.empty(len(indices), self.dtype)
        readers, begun = self.settings.writers, now()
        try:
            await read_scattered(self._reading, self._layout, indices, result, readers=readers)
        except DamagedData as error:
            raise await self._explained(error) from error
        self._count_read(len(result), begun)
        return result

    async def frames(self) -> AsyncIterator[tuple[float, NDArray[Any]]]:
        """The frames in the order of time, as (time, ψ[x, y, z]); one is in memory at a time.

        The time is in the unit of the time axis, or the number of the frame if the time
        step is not known. Raises as `point`.
        """
        for number, time in enumerate(self.times):
            yield time, await self.read[number]

    @property
    def times(self) -> list[float]:
        """The times of the frames, in the unit of the time axis; their numbers if the time step is not known."""
        axis, count = self.manifest.grid.axes[0], self.manifest.grid.shape[0]
        return [float(n if axis.step is None else axis.origin + n * axis.step) for n in range(count)]

    async def read_selection(
        self,
        selection: Selection,
        into: NDArray[Any] | None = None,
        *,
        done: Callable[[int], object] = lambda points: None,
    ) -> NDArray[Any]:
        """The values of a selection, in `into` if that is given: an array of its shape, perhaps a file in memory.

        Memory is bounded by the result and a constant. `done` is called with the number of points
        of each box when they are in the result. Raises InvalidInput if there is no memory for the
        result; else as `point`.
        """
        try:
            result = np.empty(selection.shape, self.dtype) if into is None else into
        except (MemoryError, ValueError) as error:
            raise InvalidInput(
                f"there is no memory for {selection.points:,} points: read them in parts, or export to a file"
            ) from error
        form, whole, grain = self.manifest.form, result.reshape(selection.full_shape), self._layout.grain
        readers, begun = self.settings.writers, now()
        try:
            if selection.is_sparse(grain):
                await read_sparse(self._reading, self._layout, selection, whole, readers=readers, done=done)
            else:
                chunks = form.plan if isinstance(form.plan, BoxPlan) and not form.one_hash else None
                pieces = selection.pieces(grain, chunks=chunks)
                await read_pieces(self._reading, self._layout, pieces, whole, readers=readers, done=done)
        except DamagedData as error:
            raise await self._explained(error) from error
        self._count_read(selection.points, begun)
        return result

    async def update(
        self, x: int, y: int = 0, z: int = 0, t: int = 0, *, value: complex, allow_nonfinite: bool = False
    ) -> None:
        """Change ψ at one grid point. The stored norm stays that of what was ingested.

        The indices are as for `point`. The point changes atomically; `verify` then knows that its
        chunk was changed on purpose. Raises InvalidInput outside the grid, or for a value
        that is no number, not finite, or too large for the codec. Raises DamagedData if the point is
        missing on the server, and Refused if the wavefunction was replaced or removed since it was opened.
        """
        start = self.manifest.grid.index(x, y, z, t)
        box = Box(start=start, stop=shape4(i + 1 for i in start))
        await self._change(box, (), value, allow_nonfinite)

    async def update_region(self, index: Any, values: ArrayLike, *, allow_nonfinite: bool = False) -> None:
        """Change a region: `await psi.update_region((0, slice(10, 20)), values)`, with `index` as for `read`.

        `values` has the shape that `read[index]` has. Each point changes atomically, but the
        region does not: after an error a part of it may be changed, and the same call can be
        repeated. Raises InvalidInput for an index that is not basic or has a step, and for values
        of another shape; else as `update`. After InvalidInput nothing is changed.
        """
        selection = Selection.of(self.manifest.grid.shape, index)
        if any(axis.step != 1 for axis in selection.axes):
            raise InvalidInput("a region that is to be changed cannot have steps")
        start = shape4(axis.start for axis in selection.axes)
        box = Box(start=start, stop=shape4(map(max, start, (axis.stop for axis in selection.axes))))
        await self._change(box, selection.shape, values, allow_nonfinite)

    async def _change(
        self, box: Box, shape: tuple[int, ...], values: ArrayLike, allow_nonfinite: bool
    ) -> None:
        from .updating import storable, update_box

        new = storable(self.manifest.form.codec, values, shape, allow_nonfinite=allow_nonfinite)
        if not box.points:
            return
        pool, writers = self._connections.pool, self.settings.writers
        try:
            await update_box(
                pool, self._keys, self.manifest, self._layout, box, new.reshape(box.shape), writers=writers
            )
        except DamagedData as error:
            raise await self._explained(error) from error

    def __array__(self, *_: Any, **__: Any) -> NDArray[Any]:
        """Raises UsageError: a wavefunction on a server is no array, and reading it must be awaited."""
        raise UsageError(
            f"{self.name} is on a server and has no values here: write `await psi.read[...]` for all of them, "
            "or `await psi.read[0, 10:20, :, 64]` for a part"
        )

    def __repr__(self) -> str:
        from .showing import describe

        return f"<Wavefunction {'; '.join(f'{fact} {value}' for fact, value in describe(self.name, self.manifest))}>"

    def _repr_html_(self) -> str:
        """The same facts as an HTML table, for a notebook."""
        from .showing import as_table, describe

        return as_table(describe(self.name, self.manifest))

    async def info(self) -> dict[str, Any]:
        """Facts for the user: shape, layout, codec, points, keys, encoding, memory, source, age."""
        manifest, counts, pool = self.manifest, self._layout.counts, self._connections.pool
        base = self._keys.base(manifest.generation)
        first_key = next(iter(self._layout.keys(0)))
        doing = f"reading {first_key.decode()}"
        each = await bytes_per_point(pool, manifest.form, base)
        encoding = await pool.call("OBJECT", "ENCODING", first_key, expect=is_text_or_none, doing=doing)
        created = datetime.fromisoformat(manifest.created)
        return {
            "name": self.name,
            "generation": manifest.generation,
            "layout": manifest.form.layout,
            **manifest.form.described(),
            "codec": manifest.form.codec,
            **manifest.grid.to_json(),
            "points": manifest.points,
            "keys": counts.keys,
            "fields": counts.fields,
            "first_key": first_key.decode(),
            "fields_of_first_key": await pool.call("HLEN", first_key, expect=is_number, doing=doing),
            "encoding": encoding.decode(errors="replace") if encoding else None,
            "bytes_per_point": each,
            "stored_bytes": each and round(each * manifest.points),
            "chunks": len(manifest.plan),
            "plan": manifest.plan.to_json(),
            "norm": manifest.norm,
            "source": manifest.source,
            **({} if manifest.copy_of is None else {"copy_of": manifest.copy_of}),
            "created": manifest.created,
            "age_seconds": (datetime.now(UTC) - created).total_seconds(),
        }

    def _count_read(self, points: int, begun: float) -> None:
        self._connections.pool.reads.add(points, points * self.dtype.itemsize, now() - begun)

    async def _explained(self, error: DamagedData) -> DamagedData:
        return await explained(self._connections.pool, self._keys, self.manifest.generation, error)
