"""`store`: an array of dask becomes a published wavefunction, as one graph of tasks.

Each block is written by a task that depends on it, wherever dask computes it. So progress, retries
and the dashboard work as with `to_zarr`, and no value passes through the client.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from ..catalog.journal import read_journal
from ..catalog.keys import Keys
from ..catalog.name_state import read_state
from ..checked import checked
from ..errors import InvalidInput, QwfError, UsageError
from ..ingesting.report import Report
from ..lattice.blocks import Indivisible, regular
from ..lattice.grid import Box, Grid, shape4
from ..layout import Slab
from ..optional import library
from ..producing.keeping import keep
from ..producing.place import Place, on_store
from ..producing.starting import Request
from ..settings import Replicas, Settings
from ..source import array as as_source
from ..source.base import identity
from ..source.formats.dims import LEFT_OUT, LETTERS, PART
from ..store.store import Store
from ..wording import flag
from . import tasks

RETRIES: Final = 2
"""How often dask runs a task again that has failed, such as when the server had no memory."""


@checked
def store(
    array: Any,
    name: str,
    url: str | None = None,
    *,
    compute: bool = True,
    grid: Grid | None = None,
    dims: str | None = None,
    box: Any = None,
    dt: float | None = None,
    layout: str = "flat",
    codec: str = "c16",
    tile: tuple[int, int, int] | None = None,
    slab: Slab | None = None,
    write_mode: str = "auto",
    replicas: Replicas | None = None,
    resume: bool = False,
    overwrite: bool = False,
    discard: bool = False,
    allow_nonfinite: bool = False,
    configure_server: bool = False,
    force: bool = False,
    settings: Settings | None = None,
) -> Any:
    """Store a dask array, or an xarray DataArray of one, under a name, and publish it whole.

    Returns the `Report`; without `compute` a Delayed that yields it. dask computes each block where
    it likes, and writes it from there. Its workers reach the server at the same URL, and have
    its password from QWF_PASSWORD or their own settings.

    Parameters
    ----------
    array: ψ as for `sources.array`, complex or real. Coordinates of a DataArray become the axes.
    grid, dims, box, dt: as for `sources.array`. url, settings: as for `connect`.
    layout, codec, tile, slab, write_mode, replicas, overwrite, discard, allow_nonfinite,
        configure_server, force: as for `ingest`.
    resume: go on with an unfinished load of the same array; blocks that are stored are not computed
        again. The same array is one of the same `array.name`: what dask calls an array follows
        from how it is made. A file that was changed in place may keep that name.

    The chunks of what is stored divide the array's. Raises UsageError if none do, or only tiny
    ones, and says how to rechunk. Raises else as `ingest`; what was begun stays, and can be resumed.
    """
    core: Any = library("dask.array", extra="dask", what="qwf_async.dask.store")
    source = as_source(_known(array), grid, dims=dims, box=box, dt=dt)
    data = _data(array, core)
    psi = _lifted(data, source.letters, packed=source.parts[0].packing is not None)
    blocks = regular(source.grid.shape, psi.chunks)
    sizes = zip(blocks, psi.shape, psi.numblocks, strict=True)
    usual = shape4(max(block, -(-size // many)) for block, size, many in sizes)

    try:
        request = Request.of(
            name,
            source.grid,
            layout=layout,
            codec=codec,
            tile=tile,
            slab=slab,
            blocks=blocks,
            usual=usual,
            order="C",
            fingerprint=identity(f"dask={data.name}", f"dims={source.letters}", grid=source.grid),
            source=source.spec,
            write_mode=write_mode,
            replicas=replicas,
            resume=resume,
            overwrite=overwrite,
            discard=discard,
            allow_nonfinite=allow_nonfinite,
            configure_server=configure_server,
            force=force,
        )
    except Indivisible as error:
        raise _how_to_rechunk(error, source.letters) from error

    async def look(store: Store) -> tuple[Place, set[int]]:
        return Place.of(store), await _stored(store, request) if resume else set()

    place, stored = on_store(look, url, settings)
    if not compute:
        return _graph(psi, (tasks.begin, place, request), request, stored)
    # Before anything is computed, and here: a beginning that is still under way could not be undone.
    ticket = tasks.begin(place, request)
    keep(ticket)
    try:
        report: Report = _graph(psi, ticket, request, stored).compute()
    except QwfError as error:
        if tasks.release(ticket):
            raise error.with_more(f"; what was stored can be resumed with {flag('resume')}") from error
        raise
    except BaseException:
        tasks.release(ticket)
        raise
    return report


def _known(array: Any) -> Any:
    """The array, if its shape is known. Raises InvalidInput otherwise."""
    if any(isinstance(n, float) and math.isnan(n) for n in getattr(array, "shape", ())):
        raise InvalidInput("the array has blocks of unknown size: call its compute_chunk_sizes() first")
    return array


def _data(array: Any, core: Any) -> Any:
    """The dask array that is given, or that a DataArray holds. Raises InvalidInput if there is none."""
    data = array if isinstance(array, core.Array) else getattr(array, "data", None)
    if not isinstance(data, core.Array):
        raise InvalidInput(
            f"a {type(array).__name__} is no dask array, and holds none: store it by qwf_async.ingest, "
            "or make it one by dask.array.from_array or .chunk()"
        )
    return data


def _lifted(data: Any, letters: str, *, packed: bool) -> Any:
    """The array as [t, x, y, z], of which nothing is computed; `letters` are those of its dimensions."""
    if packed or PART in letters:
        raise InvalidInput("the values are packed, or real and imaginary part: make them complex first")
    kept = data[tuple(0 if letter == LEFT_OUT else slice(None) for letter in letters)]
    used = letters.replace(LEFT_OUT, "")
    turned = kept.transpose([used.index(letter) for letter in LETTERS if letter in used])
    return turned[tuple(slice(None) if letter in used else None for letter in LETTERS)]


def _how_to_rechunk(error: Indivisible, letters: str) -> UsageError:
    """The refusal, in the dimensions that the array has."""
    along = dict(zip(LETTERS, error.advised or (1, 1, 1, 1), strict=True))
    own = tuple(along.get(letter, 1) for letter in letters)
    return UsageError(f"{error.why}: array.rechunk({own}) would do")


async def _stored(store: Store, request: Request) -> set[int]:
    """The chunks that are stored already of what a request would resume; all if it is published."""
    keys, requested = Keys(prefix=store.settings.prefix, name=request.name), request.manifest
    state = await read_state(store.pool, keys)
    left = state.under_way.manifest if state.under_way else None
    if left is not None and not left.differences(requested):
        return set(await read_journal(store.pool, keys, left))
    same = left is None and state.published is not None and state.published.is_same(requested)
    return set(range(len(requested.plan))) if same else set()


def _graph(psi: Any, beginning: Any, request: Request, stored: set[int]) -> Any:
    """The Delayed that writes the blocks whose chunks are not all `stored`, and publishes.

    `beginning` is the ticket of the load, or the task that yields it.
    """
    dask: Any = library("dask", extra="dask", what="qwf_async.dask.store")
    graphs: Any = library("dask.highlevelgraph", extra="dask", what="qwf_async.dask.store")
    delayed: Any = library("dask.delayed", extra="dask", what="qwf_async.dask.store")
    (psi,) = dask.optimize(psi)
    plan = request.manifest.plan
    begun, written, done = (f"qwf-{what}-{request.token}" for what in ("begin", "write", "publish"))
    layer: dict[Any, Any] = {begun: beginning}
    ends = [np.cumsum((0, *sizes)).tolist() for sizes in psi.chunks]
    for index in np.ndindex(*psi.numblocks):
        start = shape4(along[i] for along, i in zip(ends, index, strict=True))
        stop = shape4(along[i + 1] for along, i in zip(ends, index, strict=True))
        region = Box(start=start, stop=stop)
        if not stored or any(number not in stored for number, _ in plan.touched(region)):
            layer[(written, *index)] = (tasks.write, begun, region.slices, (psi.name, *index))
    layer[done] = (tasks.publish, begun, [key for key in layer if key != begun])
    name = f"qwf-{request.token}"
    graph = graphs.HighLevelGraph.from_collections(
        name, graphs.MaterializedLayer(layer, annotations={"retries": RETRIES}), dependencies=[psi]
    )
    return delayed.Delayed(done, graph, layer=name)
