"""The check before anything is written that the data will fit on every server.

Which node gets which chunk is known before: so each is asked for the room for its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..catalog.beginning import Beginning
from ..catalog.journal import read_journal
from ..catalog.keys import Keys
from ..catalog.manifest import Manifest
from ..client.every_node import ask_each
from ..client.node import Node
from ..client.pool import Pool
from ..client.retry import until_available
from ..errors import OutOfMemory, Refused
from ..human import counted, share, size
from ..layout import LAYOUTS, Form
from ..store.store import Store
from ..wording import flag, option

Sizes = Mapping[Node, Callable[[Form], float]]
"""For each node the bytes that all of a form would take there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """A node that has less room (bytes) than it would need, for its share of the data. The only one is not named."""

    node: Node
    where: str | None
    share: float
    needed: float
    room: float


async def check_room(
    store: Store, keys: Keys, manifest: Manifest, beginning: Beginning, *, left: Manifest | None, sizes: Sizes
) -> None:
    """Raise OutOfMemory if the data is predicted not to fit below the high watermark of a node.

    `left` is an unfinished load: what it wrote is resumed, or makes room when it is discarded. A
    node that forbids INFO is not looked at.
    """
    lack = await worst_lack(store, keys, manifest, left=left, sizes=sizes)
    if lack is None:
        return
    pool, base = store.pool, keys.base(manifest.generation)
    rooms = await rooms_of(store)

    def fits(form: Form) -> bool:
        parts = shares_of(pool, base, form).items()
        return all(
            share * sizes[node](form) <= rooms.get(node, math.inf) for node, share in parts if node in sizes
        )

    raise OutOfMemory(_refusal(manifest, beginning, lack, sizes[lack.node], fits))


async def worst_lack(
    store: Store, keys: Keys, manifest: Manifest, *, left: Manifest | None, sizes: Sizes
) -> Lack | None:
    """The node that lacks most room for its share of the data; None if there is room on all. As `check_room`."""
    pool, base = store.pool, keys.base(manifest.generation)
    rooms = {node: room for node, room in (await rooms_of(store)).items() if node in sizes}
    if not rooms:
        return None
    shares, several = shares_of(pool, base, manifest.form), len(pool.nodes) > 1
    there: dict[Node, float] = {}
    if left is not None:
        done = await read_journal(pool, keys, left)
        groups = np.array([left.form.group_of(chunk) for chunk in done], dtype=np.int64)
        there = {
            node: share * len(done) / len(left.plan) * sizes[node](left.form)
            for node, share in _counted(pool, keys.base(left.generation), groups).items()
            if node in sizes
        }
    lacks = (
        Lack(
            node=node,
            where=node.address.shown if several else None,
            share=share,
            needed=needed,
            room=max(0, rooms[node]),
        )
        for node, share in shares.items()
        if node in rooms
        and (needed := share * sizes[node](manifest.form) - there.get(node, 0)) > max(0, rooms[node])
    )
    return max(lacks, key=lambda lack: lack.needed - lack.room, default=None)


def shares_of(pool: Pool, base: bytes, form: Form) -> dict[Node, float]:
    """The share of each node in the groups of a generation whose keys begin with `base`. Their sum is 1."""
    return _counted(pool, base, np.arange(form.groups))


def _counted(pool: Pool, base: bytes, groups: NDArray[np.int64]) -> dict[Node, float]:
    return {node: len(rows) / max(1, len(groups)) for node, rows in pool.nodes_of(base, groups)}


async def rooms_of(store: Store) -> dict[Node, float]:
    """The bytes that each node has room for below the high watermark; not of a node without limits or INFO."""

    async def room(node: Node) -> float | None:
        try:
            sample = await until_available(store.probe(node).sample, node.retry)
        except Refused:
            return None
        return sample.room(store.settings.high_watermark)

    rooms = await ask_each(store.pool, room)
    return {node: room for node, room in rooms.items() if room is not None}


def _refusal(
    manifest: Manifest,
    beginning: Beginning,
    lack: Lack,
    bytes_of: Callable[[Form], float],
    fits: Callable[[Form], bool],
) -> str:
    """The message for data that does not fit: the figures, and what would fit. `bytes_of` is for all nodes together."""
    form = manifest.form
    on, there = (
        ("", "") if lack.where is None else (f" on {lack.where}, {share(lack.share)} of all", " there")
    )
    text = (
        f"{counted(manifest.points, 'point')} in layout {form.layout} will need {size(lack.needed)} more{on}, and "
        f"{size(lack.room)} are free{there} below the watermark"
    )
    cures = []
    others = [] if beginning.resumed else [name for name in LAYOUTS if form.codec in LAYOUTS[name].codecs]
    for layout in others:
        other = Form.of(layout=layout, codec=form.codec, shape=form.shape)
        if layout != form.layout and fits(other):
            cures.append(f"{option('layout', layout)} needs {size(bytes_of(other))} and fits")
            break
    if (old := beginning.overwrites) is not None:
        old_bytes = old.form.predicted_bytes(None, peak=False)
        text += f"; the old ones, {size(old_bytes)}, stay until the new ones are published, so both must fit together"
        cures.append("remove the old ones first")
    cures = cures or ["use a smaller grid or a server with more memory"]
    return f"{text}: {', or '.join(cures)} ({flag('force')} tries all the same)"
