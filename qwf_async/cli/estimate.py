"""`qwf estimate` measures the memory and the time that a source would take on a server, in each layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..human import duration, size
from .jobs import run_on_store
from .options import (
    JsonOption,
    ServerOptions,
    SourceOptions,
    SourceText,
    TileOption,
    tile_shape,
    with_option_groups,
)
from .output import print_json, show
from .source_argument import opened_source

if TYPE_CHECKING:
    from ..ingesting.estimation import Estimate
    from ..store.store import Store


@with_option_groups
def estimate(
    source: SourceText,
    *,
    source_options: SourceOptions,
    tile: TileOption = None,
    server_options: ServerOptions,
    as_json: JsonOption = False,
) -> None:
    """Say what a source would take on the server in each layout: a sample is stored, measured and removed.

    Memory in the end, within 2 %. Seconds are rough: if others use the machine too, they can become twice as many.
    The sample is of the first frames; of its values only what text10 takes depends.

    \b
    Example: qwf estimate hydrogen:n=3,l=2,m=1 --grid 256
    """
    shape = tile_shape(tile)
    with opened_source(source, source_options) as argument:

        async def job(store: Store) -> list[Estimate]:
            from ..ingesting.estimation import estimate as measure

            return await measure(await argument.on(store, warn=True), store, tile=shape)

        estimates = run_on_store(job, server_options)
    if as_json:
        print_json([layout.to_json() for layout in estimates])
        return
    for layout in estimates:
        fits = {True: "fits", False: "does not fit", None: "fits if there is memory"}[layout.fits]
        several = layout.fullest_bytes < layout.bytes
        fullest = f"  {size(layout.fullest_bytes)} of it on the fullest node" if several else ""
        show(
            f"{layout.layout:7} {layout.codec:7} {size(layout.bytes):>8}  "
            f"{layout.bytes_per_point:6.1f} bytes a point  "
            f"at least {duration(layout.seconds):>10}  {fits}{fullest}"
        )
