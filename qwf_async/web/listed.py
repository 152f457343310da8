"""What the store has, as JSON: the list, which all pages ask for again and again, and all that is known of a name."""

from __future__ import annotations

import json
from typing import Any, Final

import anyio
import xxhash
from starlette.requests import Request
from starlette.responses import Response

from ..catalog.keys import Keys, check_name
from ..catalog.manifest import Manifest
from ..errors import QwfError, UnknownName
from ..lattice.grid import AXIS_NAMES
from ..store.listing import Entry, Listing, look_at
from ..store.load_rates import Rates
from ..store.store import Store
from ..wire.codec import binary_dtype
from .guarded import JSON, finite

PAUSE: Final = 0.5
"""Seconds between two looks at the store, whoever asks."""


class Listed:
    """The list. The store is looked at for all pages together, and what is as it was is not sent again."""

    def __init__(self) -> None:
        self._listing: Listing | None = None
        self._rates = Rates()
        self._looking = anyio.Lock()
        self._due = 0.0
        self._rows: list[_Row] = []
        self._failed: QwfError | None = None
        self._tag = ""

    async def answer(self, store: Store, request: Request) -> Response:
        """All names, sorted; 304 if the client has them as they are. That they grow older is no change."""
        async with self._looking:
            if anyio.current_time() >= self._due:
                await self._look(store)
        if self._failed is not None:
            raise self._failed
        headers = {"ETag": self._tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == self._tag:
            return Response(status_code=304, headers=headers)
        body = f'{{"wavefunctions": [{", ".join(row.text() for row in self._rows)}]}}'
        return Response(body.encode(), media_type="application/json", headers=headers)

    async def _look(self, store: Store) -> None:
        self._listing = self._listing or Listing(store.pool, store.settings.prefix)
        try:
            entries = await self._listing.entries(measured=True)
        except QwfError as error:
            self._failed = error
        else:
            self._failed, time = None, anyio.current_time()
            known = {id(row.entry): row for row in self._rows}
            self._rows = [known.get(id(entry)) or self._row(entry, time) for entry in entries]
            self._rates.keep({entry.load.manifest.generation for entry in entries if entry.load})
            lasting = "".join(row.lasting for row in self._rows)
            self._tag = f'"{xxhash.xxh3_64_hexdigest(lasting.encode())}"'
        self._due = anyio.current_time() + PAUSE

    def _row(self, entry: Entry, time: float) -> _Row:
        load = entry.load
        return _Row(entry, None if load is None else self._rates.of(load.manifest, load.done, time))


class _Row:
    """An entry of the list, and the JSON of what does not change with time, which is made once."""

    def __init__(self, entry: Entry, rate: float | None) -> None:
        self.entry = entry
        self._rate = rate
        self.lasting = _dumped(_entry_json(entry, rate, aging=False))

    def text(self) -> str:
        """Its JSON with the ages as they are now."""
        if self.entry.load is not None:
            return _dumped(_entry_json(self.entry, self._rate, aging=True))
        return f"{self.lasting[:-1]}, {_dumped({'age_seconds': self.entry.age})[1:]}"


async def described(store: Store, request: Request) -> Response:
    """All that is known of what is published under a name, or with `load=true` of the load under way.

    Raises UnknownName if there is none.
    """
    name = check_name(request.path_params["name"])
    entry = await look_at(store.pool, Keys(prefix=store.settings.prefix, name=name), measured=True)
    of_load = request.query_params.get("load") == "true"
    if entry is not None:
        load = entry.load
        manifest = (None if load is None else load.manifest) if of_load else entry.manifest
        if manifest is not None:
            facts = _entry_json(entry, None, aging=True)
            return JSON(facts | _manifest_json(manifest) | _grid_json(manifest))
    if of_load:
        raise UnknownName(f"no load of {name} is under way")
    note = f"; {entry.note}" if entry and entry.note else ""
    raise UnknownName(f"there is no wavefunction {name!r}{note}")


def _entry_json(entry: Entry, rate: float | None, *, aging: bool) -> dict[str, Any]:
    """A name in the list: what is published under it, or else the load under way; then that load, if there is one.

    `rate` is how fast that comes in, in points a second. Without `aging` it lacks the ages.
    """
    load, manifest = None, entry.manifest
    if entry.load is not None:
        manifest = manifest or entry.load.manifest
        load = entry.load.to_json() | {"rate": rate}
        if not aging:
            del load["age_seconds"]
    facts = {} if manifest is None else _manifest_json(manifest)
    facts |= {
        "name": entry.name,
        "state": entry.state,
        "note": entry.note,
        "bytes": entry.nbytes,
        "load": load,
    }
    return facts | {"age_seconds": entry.age} if aging else facts


def _dumped(facts: Any) -> str:
    return json.dumps(finite(facts), allow_nan=False)


def _manifest_json(manifest: Manifest) -> dict[str, Any]:
    dtype = binary_dtype(manifest.form.codec)
    return {
        "shape": list(manifest.grid.shape),
        "dimensions": manifest.grid.dimensions,
        "points": manifest.points,
        "layout": manifest.form.layout,
        "codec": manifest.form.codec,
        "bytes_per_value": dtype and dtype.itemsize,
        "source": manifest.source,
        "created": manifest.created,
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
