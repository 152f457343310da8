"""`qwf ls` lists the wavefunctions that are stored, and the loads under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .jobs import run_on_store
from .options import JsonOption, ServerOptions, with_option_groups
from .output import print_json, show

if TYPE_CHECKING:
    from ..store.store import Entry, Store


@with_option_groups
def ls(*, server_options: ServerOptions, as_json: JsonOption = False) -> None:
    """List the wavefunctions: name, shape (t,x,y,z), points, layout, codec, when, and loads under way.

    \b
    Example: qwf ls --json
    """

    async def job(store: Store) -> list[Entry]:
        return await store.entries()

    entries = run_on_store(job, server_options)
    rows = [_row(entry) for entry in entries]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        shape = "×".join(str(size) for size in row["shape"]) if row["shape"] else "-"
        show(
            f"{row['name']:24} {shape:>18} {row['points'] or 0:>14,} {row['layout'] or '-':7} "
            f"{row['codec'] or '-':7} {row['created'] or '-'}{' ' + row['note'] if row['note'] else ''}"
        )


def _row(entry: Entry) -> dict[str, Any]:
    manifest = entry.manifest
    return {
        "name": entry.name,
        "generation": manifest and manifest.generation,
        "layout": manifest and manifest.form.layout,
        "codec": manifest and manifest.form.codec,
        "shape": manifest and list(manifest.grid.shape),
        "points": manifest and manifest.points,
        "norm": manifest and manifest.norm,
        "created": manifest and manifest.created,
        "note": entry.note,
    }
