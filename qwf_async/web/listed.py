"""What the store has, as JSON: a name in the list, and all that is known of one."""

from __future__ import annotations

from typing import Any

from ..catalog.manifest import Manifest
from ..errors import UnknownName
from ..lattice.grid import AXIS_NAMES
from ..store.listing import Entry, age_of
from ..store.store import Store


def entry_json(entry: Entry) -> dict[str, Any]:
    """A name in the list: what is published under it, or else the load of it that is under way."""
    manifest = entry.manifest
    if manifest is None and entry.load is not None:
        manifest = entry.load.manifest
    return {
        "name": entry.name,
        "state": entry.state,
        "note": entry.note,
        "bytes": entry.nbytes,
        **({} if manifest is None else _manifest_json(manifest)),
        "load": entry.load and entry.load.to_json(),
    }


async def described(store: Store, name: str) -> dict[str, Any]:
    """All that is known of a name. Raises UnknownName if nothing is published under it."""
    for entry in await store.entries():
        if entry.name == name and entry.manifest is not None:
            return entry_json(entry) | _grid_json(entry.manifest)
    raise UnknownName(f"there is no wavefunction {name!r}")


def _manifest_json(manifest: Manifest) -> dict[str, Any]:
    return {
        "shape": list(manifest.grid.shape),
        "dimensions": manifest.grid.dimensions,
        "points": manifest.points,
        "layout": manifest.form.layout,
        "codec": manifest.form.codec,
        "source": manifest.source,
        "created": manifest.created,
        "age_seconds": age_of(manifest),
        "generation": manifest.generation,
    }


def _grid_json(manifest: Manifest) -> dict[str, Any]:
    grid = manifest.grid
    return {
        "axes": [
            {"name": name, "size": size, "origin": axis.origin, "step": axis.step, "unit": axis.unit or None}
            for name, size, axis in zip(AXIS_NAMES, grid.shape, grid.axes, strict=True)
        ],
        "norm": manifest.norm,
        "mass": grid.mass,
    }
