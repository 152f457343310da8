"""An operator who moves slots without a pause while something else is tested."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Self

from qwf_async.client.slots import slot_of
from tests.support.cluster_node import ClusterNode
from tests.support.clusters import Cluster
from tests.support.slot_moves import begin_move, move_keys


@dataclass(slots=True)
class Mover:
    """Moves slots that have keys between two primaries, back and forth, from a thread of its own; `moves` so far."""

    cluster: Cluster
    nodes: tuple[ClusterNode, ClusterNode]
    way: Literal["keys", "atomic"]
    moves: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _error: BaseException | None = None

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Move slots during the body. Afterwards none is on its way. Raises what a move raised."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                roads = (self.nodes, self.nodes[::-1])
                for (source, target), slots in zip(roads, map(self._slots, self.nodes), strict=True):
                    self._move(slots, source, target)
        except BaseException as error:  # noqa: BLE001 # raised where the body ends
            self._error = error

    def _slots(self, node: ClusterNode) -> list[int]:
        """The slots of a node that have keys."""
        with node.plain as client:
            used = {slot_of(key) for key in client.scan_iter(count=1000)}
        return sorted(used & set(self.cluster.slots(node)))

    def _move(self, slots: list[int], source: ClusterNode, target: ClusterNode) -> None:
        if self.way == "atomic" and slots:
            self.cluster.move_slots(slots, source, target, "atomic")
            self.moves += len(slots)
            return
        for slot in slots:
            begin_move(slot, source, target)
            move_keys(slot, source, target)
            self.cluster.end_move(slot, target)
            self.moves += 1
            if self._stop.is_set():
                return
