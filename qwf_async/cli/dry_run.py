"""`qwf ingest --dry-run` shows how a source is understood, and what would be stored of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .fact_table import print_facts
from .output import print_json, say

if TYPE_CHECKING:
    from ..layout import Slab
    from ..source import Source


def print_dry_run(
    source: Source,
    name: str,
    layout: str,
    codec: str,
    tile: tuple[int, int, int] | None,
    slab: Slab | None,
    *,
    as_json: bool,
) -> None:
    """Print what an ingest would do; needs no server. Raises as `check_name` and `Form.of`."""
    from ..catalog.keys import check_name
    from ..layout import Form
    from ..source.base import understood_of, warnings_of

    check_name(name)
    for text in warnings_of(source):
        say(f"warning: {text}")
    grid = source.grid
    form = Form.of(layout=layout, codec=codec, shape=grid.shape, order=source.order, tile=tile, slab=slab)
    facts = {
        "name": name,
        "source": source.spec,
        **understood_of(source),
        "layout": layout,
        **form.described(),
        "codec": codec,
        **grid.to_json(),
        "points": grid.points,
        "chunks": len(form.plan),
        "cell_volume": grid.in_atomic_units().cell_volume,
        "predicted_bytes": form.predicted_bytes(None),
    }
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)
