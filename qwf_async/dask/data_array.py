"""`to_xarray`: a stored wavefunction as a DataArray of xarray, read at once or by dask."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

from anyio import to_thread

from ..checked import checked
from ..errors import UsageError
from ..lattice.grid import AXIS_NAMES, Shape4
from ..optional import library
from ..producing.place import Place
from ..store.store import Store
from ..store.wavefunction import Wavefunction
from ..wording import quoted
from ..zarr_store.hierarchy import PSI, Hierarchy, coordinate_values
from .reading import lazy_array, stored_chunks

Chunks = int | Literal["auto"] | Mapping[str, Any]
"""Chunks as xarray takes them: for all dimensions, or by the names t, x, y, z."""


@checked
async def to_xarray(store: Store, psi: Wavefunction, *, chunks: Chunks | None = None) -> Any:
    """ψ[t, x, y, z] as an `xarray.DataArray` named psi, with its coordinates, their units, and attributes.

    Coordinates are float64, with the attribute `units`, or indices if the spacing is not known.

    Parameters
    ----------
    store: the one that `psi` was opened from.
    chunks: None reads all values now. Else the values are an array of dask, whose tasks read
        blocks in any process, as those of `dask.from_store`. {} are the chunks that are stored;
        a number, "auto" and None mean for a dimension what they mean for xarray. A dimension that is
        not named keeps its stored chunks, and "auto" takes multiples of them.

    Raises UsageError if xarray (extra `zarr`) or dask is not installed, or for a dimension that is not
    there; else as `Wavefunction.read`.
    """
    what, shape = "to_xarray", psi.manifest.grid.shape
    xarray = await to_thread.run_sync(partial(library, "xarray", extra="zarr", what=what))
    if chunks is None:
        values = await psi.read[...]
    else:
        core = await to_thread.run_sync(partial(library, "dask.array", extra="dask", what=what))
        values = lazy_array(core, Place.of(store), psi, _normalized(core, chunks, psi, shape))
    hierarchy = Hierarchy.of(psi.name, psi.manifest)
    coordinates = {
        name: (
            name,
            coordinate_values(psi.manifest.grid, name, 0, size),
            dict(hierarchy.arrays[name].attributes),
        )
        for name, size in zip(AXIS_NAMES, shape, strict=True)
    }
    attributes = {**hierarchy.arrays[PSI].attributes, **hierarchy.attributes}
    # In a thread: to make the first one, xarray imports more.
    return await to_thread.run_sync(
        partial(xarray.DataArray, values, coords=coordinates, dims=AXIS_NAMES, name=PSI, attrs=attributes)
    )


def _normalized(core: Any, chunks: Chunks, psi: Wavefunction, shape: Shape4) -> Any:
    """Chunks along t, x, y, z as dask has them."""
    stored = stored_chunks(psi)
    along: Any = chunks
    if isinstance(chunks, Mapping):
        if unknown := [name for name in chunks if name not in AXIS_NAMES]:
            raise UsageError(
                f"chunks: {quoted(unknown[0])} is none of the dimensions {', '.join(AXIS_NAMES)}"
            )
        along = tuple(chunks.get(name, size) for name, size in zip(AXIS_NAMES, stored, strict=True))
    try:
        return core.core.normalize_chunks(along, shape=shape, dtype=psi.dtype, previous_chunks=stored)
    except (TypeError, ValueError) as error:
        raise UsageError(f"chunks cannot be {quoted(chunks)}: {error}") from error
