"""`from_store`: a stored wavefunction as an array of dask, read by its tasks a chunk at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalog.still_published import replaced
from ..checked import checked
from ..lattice.grid import Shape4
from ..lattice.plan import BoxPlan
from ..optional import library
from ..producing.background import background
from ..producing.place import Place, on_store
from ..settings import Settings
from ..store.store import Store
from ..store.wavefunction import Wavefunction


@checked
def from_store(name: str, url: str | None = None, *, settings: Settings | None = None) -> Any:
    """ψ[t, x, y, z] as a dask array whose chunks are those that it is stored in; of layout packed, boxes as large.

    Server and errors as for `connect` and `Store.open`. Tasks read by the same URL, with the
    password of their own settings. They raise Refused once ψ was replaced or removed.
    """
    core: Any = library("dask.array", extra="dask", what="qwf_async.dask.from_store")

    async def look(store: Store) -> tuple[Place, Wavefunction]:
        return Place.of(store), await store.open(name)

    place, psi = on_store(look, url, settings)
    return lazy_array(core, place, psi, stored_chunks(psi))


def stored_chunks(psi: Wavefunction) -> Shape4:
    """The chunks in which ψ is stored; of layout packed, boxes as large."""
    plan = psi.manifest.plan
    return (plan if isinstance(plan, BoxPlan) else BoxPlan.cut(plan.shape)).chunk


def lazy_array(core: Any, place: Place, psi: Wavefunction, chunks: Any) -> Any:
    """ψ as an array of dask in these chunks; `core` is the module dask.array."""
    manifest = psi.manifest
    stored = StoredArray(
        place=place, name=psi.name, generation=manifest.generation, shape=manifest.grid.shape, dtype=psi.dtype
    )
    chunks = core.core.normalize_chunks(chunks, shape=stored.shape, dtype=stored.dtype)
    return core.from_array(
        stored,
        chunks=chunks,
        name=f"qwf-{psi.name}-{manifest.generation}-{core.core.tokenize(chunks)}",
        asarray=False,
        fancy=False,
        meta=np.empty((0, 0, 0, 0), psi.dtype),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArray:
    """One generation of a wavefunction, read by index in any process. It can be pickled, and holds no password."""

    place: Place
    name: str
    generation: str
    shape: Shape4
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """The selected values. Raises as `Wavefunction.read`, and Refused if another generation is published."""

        async def read() -> NDArray[Any]:
            opened, store = background().read, await self.place.open()
            psi = opened.get(self)
            if psi is None:
                psi = opened[self] = await store.open(self.name)
            if psi.manifest.generation != self.generation:
                raise replaced(self.name)
            values: NDArray[Any] = await psi.read[index]
            return values

        return background().run(read)
