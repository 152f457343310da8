"""The lanes of a load: one for its server, or one for each node of a cluster that chunks of it go to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Self

import anyio
import numpy as np
from anyio.abc import TaskGroup
from numpy.typing import NDArray

from ..catalog.cleaning import Cleaned
from ..catalog.keys import Keys
from ..catalog.load import Load
from ..client.reply import is_number
from ..events import Hook
from ..store.store import Store
from ..wire.batch import Batch
from .gate import Gate
from .lane import Lane
from .lease import Lease
from .load_spool import LoadSpool
from .report import Tally
from .routes import Routes
from .watchdog import Watchdog

LANE_WRITERS: Final = 2
"""Writers of a lane among others: while one waits for its node, the other sends."""


@dataclass(slots=True, kw_only=True)
class Lanes:
    """Lanes by their numbers, made when they are first needed; also what a `Schedule` asks of them.

    `make` makes one; `changed` is to be called when one may have become ready or
    ceased to be. What runs beside its writers runs in `background`. A load that has one lane puts nothing off:
    its writers wait, and its producers read ahead as far as there is room.
    """

    routes: Routes
    make: Callable[[int], Lane]
    background: TaskGroup
    put_off: Mapping[int, bool] = field(default_factory=dict)
    _tell: Callable[[Collection[int]], object] = lambda put_off: None
    _lanes: dict[int, Lane] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        store: Store,
        keys: Keys,
        load: Load,
        *,
        spool: LoadSpool,
        lease: Lease,
        writers: int,
        evictable: bool,
        tally: Tally,
        hook: Hook,
        background: TaskGroup,
    ) -> Self:
        """The lanes of a load: that of the node with its record, and those of what its spool holds already.

        `writers` and `evictable` are as for `Job`. A lane among others has LANE_WRITERS writers.
        """
        pool, settings = store.pool, store.settings
        routes = Routes(pool, keys, load.manifest)
        found: dict[int, set[int]] = {routes.control: set()}
        for chunk in spool.numbers:
            lane = routes.lane_of(chunk) if chunk in spool.chunks else routes.control  # that one is damaged
            found.setdefault(lane, set()).add(chunk)
        cleaning = anyio.Lock()

        async def look(chunk: int) -> None:
            key = routes.key_of(chunk if chunk in spool.chunks else 0)
            await pool.call_once("EXISTS", key, expect=is_number, doing="looking for a node that was away")

        async def clean() -> Cleaned:
            async with cleaning:
                return await store.clean()

        def make(number: int) -> Lane:
            node = routes.node_of(number)
            watchdog = Watchdog.of(
                store,
                Gate(lanes.changed, node.address.shown),
                node=node,
                clean=clean,
                timeout=settings.gate_timeout,
                evictable=evictable,
                hook=hook,
            )
            return Lane.of(
                load,
                watchdog=watchdog,
                spool=spool,
                found=frozenset(found.pop(number, ())),
                lease=lease,
                has_record=lambda: number == routes.control,
                look=look,
                changed=lanes.changed,
                retry=pool.retry,
                settings=settings,
                writers=LANE_WRITERS if routes.several else writers,
                tally=tally,
                hook=hook,
            )

        lanes = cls(routes=routes, make=make, background=background)
        for number in list(found):
            lanes[number]
        return lanes

    def __getitem__(self, number: int) -> Lane:
        """The lane of this number."""
        lane = self._lanes.get(number)
        if lane is None:
            lane = self._lanes[number] = self.make(number)
            self.background.start_soon(lane.run)
            self.changed()
        return lane

    @property
    def owners(self) -> object:
        return self.routes.owners

    def lanes_of(self, numbers: NDArray[np.int64]) -> NDArray[np.intp]:
        return self.routes.lanes_of(numbers)

    def number_of(self, batch: Batch) -> int:
        """The number of the lane that a batch goes to."""
        return self.routes.lane_of(batch.chunk)

    def changed(self) -> None:
        """Learn which lanes are put off."""
        several = self._lanes if len(self._lanes) > 1 else {}
        put_off = {number: lane.spools for number, lane in several.items() if lane.is_put_off}
        if put_off != self.put_off:
            self.put_off = put_off
            self._tell(put_off)

    @contextmanager
    def telling(self, tell: Callable[[Collection[int]], object]) -> Iterator[None]:
        """During the body, tell which lanes are put off, now and whenever that changes."""
        tell(self.put_off)
        self._tell = tell
        try:
            yield
        finally:
            self._tell = lambda put_off: None

    def want_gates(self) -> None:
        """Nothing can be read but for lanes that are put off: their gates, if shut, hold it up."""
        for lane in self._lanes.values():
            lane.gate.want()

    async def settled(self) -> None:
        """Return when nothing waits in the spool. Raises AwayForTooLong if a node stays away."""
        for lane in list(self._lanes.values()):
            await lane.outage.settled()

    @property
    def replayed(self) -> int:
        """How many batches went through the spool."""
        return sum(lane.outage.replayed for lane in self._lanes.values())
