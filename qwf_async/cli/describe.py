"""What `qwf ingest --dry-run` says: what was understood of a source, and what would be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .facts import print_facts
from .runner import print_json, say

if TYPE_CHECKING:
    from ..source import Source


def describe(
    source: Source, name: str, layout: str, codec: str, tile: tuple[int, int, int] | None, *, as_json: bool
) -> None:
    """What an ingest would do, without a server."""
    from ..catalog.keys import check_name
    from ..layout import Form
    from ..source.base import understood_of, warnings_of

    check_name(name)
    for text in warnings_of(source):
        say(f"warning: {text}")
    grid = source.grid
    form = Form(layout=layout, codec=codec, shape=grid.shape, tile=tile)
    facts = {
        "name": name,
        "source": source.spec,
        **understood_of(source),
        "layout": layout,
        **form.parameters,
        "codec": codec,
        **grid.to_json(),
        "points": grid.points,
        "chunks": len(form.plan(source.order)),
        "cell_volume": grid.in_atomic_units().cell_volume,
        "predicted_bytes": form.predicted_bytes(None),
    }
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)
