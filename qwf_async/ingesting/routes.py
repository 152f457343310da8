"""Which node each chunk of a load goes to, by the slots of a cluster; each node has a lane."""

from __future__ import annotations

from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..catalog.keys import Keys
from ..catalog.manifest import Manifest
from ..client.node import Node
from ..client.pool import Pool
from ..client.slots import NOBODY, SlotTable, slot_of, slots_of_groups

_NO_NODE: Final = ""
"""The lane of slots that no node has. Somebody will have them, or the cluster says that it is down."""


class Routes:
    """Lanes have numbers, in the order in which their nodes became known. They keep them when a node is gone.

    May be asked in any thread, and answers at once. `several`: whether there can be more than one.
    """

    def __init__(self, pool: Pool, keys: Keys, manifest: Manifest) -> None:
        self.several = pool.is_cluster or len(pool.nodes) > 1
        self._pool = pool
        self._keys = keys
        self._manifest = manifest
        self._slots = np.zeros(1, dtype=np.int16)
        if self.several:
            groups = np.arange(manifest.form.groups)
            self._slots = slots_of_groups(keys.base(manifest.generation), groups)
        self._numbers: dict[str, int] = {}
        self._lock = Lock()
        self._table, self._lanes = pool.table, self._lanes_by(pool.table)

    @property
    def owners(self) -> object:
        """Another object whenever chunks may have got another lane."""
        return self._pool.table

    def key_of(self, chunk: int) -> str:
        """The key of the journal of a chunk."""
        return self._keys.journal(self._manifest.generation, self._manifest.form.group_of(chunk))

    def lanes_of(self, chunks: NDArray[np.int64]) -> NDArray[np.intp]:
        """The numbers of the lanes that these chunks have now."""
        return self._lanes_now()[self._slots[chunks if len(self._slots) > 1 else chunks * 0]]

    def lane_of(self, chunk: int) -> int:
        """The number of the lane that a chunk has now."""
        return int(self._lanes_now()[self._slots[chunk if len(self._slots) > 1 else 0]])

    @property
    def control(self) -> int:
        """The lane of the node that has the load's record now."""
        return int(self._lanes_now()[slot_of(self._keys.load)])

    def node_of(self, lane: int) -> Node:
        """The node of a lane that chunks have now; any node if it has none. For the event loop's thread alone."""
        with_slots = np.unique(self._pool.table.owners)
        names = [self._pool.table.nodes[index].id for index in with_slots[with_slots != NOBODY]]
        found = [
            node
            for name, node in zip(names, self._pool.nodes, strict=True)
            if self._numbers.get(name) == lane
        ]
        return (found or self._pool.nodes)[0]

    def _lanes_now(self) -> NDArray[np.intp]:
        """The lane of each slot."""
        with self._lock:
            table = self._pool.table
            if table is not self._table:
                self._table, self._lanes = table, self._lanes_by(table)
            return self._lanes

    def _lanes_by(self, table: SlotTable) -> NDArray[np.intp]:
        ids = [*(node.id for node in table.nodes), _NO_NODE]
        present = np.unique(table.owners).tolist()
        lanes = np.zeros(len(ids), dtype=np.intp)
        for index in present:
            lanes[index] = self._numbers.setdefault(ids[index], len(self._numbers))
        return lanes[table.owners]
