"""A sink that no outage stops: batches go to the server, and into the spool while the server is away.

When the server has given no answer for a short time, batches are committed to the spool
instead, and are acknowledged. When it answers again, what waits is replayed, oldest first,
and new batches follow behind. A server that is busy (loading, in a script, crowded) is
not away: the writers wait for it. In a cluster each lane has an outage of its own.
"""

from __future__ import annotations

from asyncio import get_running_loop
from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import anyio

from ..client.failure import Redirected, ServerBusy
from ..errors import OutOfMemory, ServerUnavailable, SpoolFull
from ..events import Hook, Noted, Spooled
from ..wire.batch import Batch
from .load_spool import LoadSpool
from .sink import LOOK_EVERY, AwayForTooLong, Sink

MAX_LOOK_TIME: Final = 3.0
"""Seconds that one attempt to reach the server may take: a stopped server accepts connections, and says nothing."""

QUIET_AFTER: Final = 0.5
"""Seconds without an answer to a batch after which nothing more is read for the server, if there are others."""


class OutageState(Enum):
    THERE = "there"
    AWAY = "away"
    REPLAYING = "replaying"


@dataclass(slots=True, kw_only=True)
class Outage:
    """A sink for writers; `run` is to run beside them.

    - `server` takes a batch, and tries once.
    - `spool` takes batches while the server is away.
    - `reach_server` is awaited to learn whether the server is there and the load still ours. It
      raises ServerUnavailable if the server is away; any other error is final.
    - `connection_lost` is called when the server gave no answer.
    - `deliver_to_server` takes a batch from the spool and tries again. It raises
      ServerUnavailable if the server is away once more.
    - `writers` batches at a time are replayed.
    - `after`: seconds for which the server may give no answer before the spool is used.
    - `deadline`: seconds for which it may be away while batches find no room in the spool. Both
      count from its last answer.
    - `found` are the numbers of the chunks that wait in the spool already.
    - `changed` is called after each change of `state` or `is_quiet`.
    - `replayed` counts the batches that went through the spool.
    - `is_quiet`: the last attempt failed, or one goes on for QUIET_AFTER.

    The spool may hold chunks of other outages as well: only those that this one put there, or
    found, are replayed.
    """

    server: Sink
    spool: LoadSpool
    reach_server: Callable[[], Awaitable[object]]
    connection_lost: Callable[[], object]
    deliver_to_server: Callable[[Batch], Awaitable[None]]
    writers: int
    after: float
    deadline: float
    hook: Hook
    found: Set[int] = frozenset()
    changed: Callable[[], object] = lambda: None
    replayed: int = 0
    state: OutageState = OutageState.THERE
    is_quiet: bool = False
    _spooled: set[int] = field(init=False)
    _answered: float = field(default_factory=anyio.current_time)
    _changed: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self._spooled = set(self.found)
        if self._spooled:  # left by a process that ended during an outage
            self.state = OutageState.AWAY

    @property
    def waiting(self) -> Set[int]:
        """The numbers of chunks that wait for the server: in the spool, or else to be spooled."""
        return self._spooled & self.spool.numbers or self._spooled

    async def write(self, batch: Batch) -> None:
        """Return once the batch is applied by the server, or committed to the spool.

        Raises as the server's sink does, and AwayForTooLong if the server is away and the spool has no room.
        """
        while True:
            changed = self._changed
            if self.state is OutageState.THERE:
                return await self._write_to_server(batch)
            if self.state is OutageState.AWAY:
                self._spooled.add(batch.chunk)
                try:
                    await self.spool.write(batch)
                except SpoolFull as error:
                    await self._wait(changed, f"; {error}")
                    continue
                self._tell()
                if self._changed is not changed:  # the replay may have ended during the commit
                    self._turn(OutageState.AWAY)
                return None
            await changed.wait()

    async def run(self) -> None:
        """Wait for the server whenever it is away, and then replay the spool, until cancelled.

        Raises what is final: the load is gone or not ours any more, or the server refuses.
        """
        while True:
            changed = self._changed
            if self.state is OutageState.THERE:
                await changed.wait()
                continue
            try:
                with anyio.fail_after(MAX_LOOK_TIME):
                    await self.reach_server()
                self._turn(OutageState.REPLAYING)
                await self.spool.replay(self._replay, self.writers, self._tell, self._spooled)
            except (ServerUnavailable, TimeoutError):
                self._turn(OutageState.AWAY)
                await anyio.sleep(LOOK_EVERY)
            else:
                self._answered = anyio.current_time()
                self.is_quiet = False
                self._turn(OutageState.THERE)
                while self.spool.damaged:
                    row = self.spool.damaged.pop()
                    chunk = "a chunk" if row.chunk is None else f"chunk {row.chunk}"
                    self.hook(Noted(text=f"{chunk} was damaged in the spool ({row.why})", warning=True))
                self.hook(Noted(text="the server is back, and has all that waited in the spool"))

    async def settled(self) -> None:
        """Return when nothing waits in the spool. Raises AwayForTooLong if the server stays away."""
        while self.state is not OutageState.THERE:
            await self._wait(self._changed)

    async def _replay(self, batch: Batch) -> None:
        await self.deliver_to_server(batch)
        self.replayed += 1

    async def _write_to_server(self, batch: Batch) -> None:
        patience = get_running_loop().call_later(QUIET_AFTER, self._set_quiet, True)
        try:
            await self.server.write(batch)
        except Redirected:  # the other node may be away
            raise
        except ServerBusy:
            self._answered = anyio.current_time()
            self._set_quiet(True)
            raise
        except ServerUnavailable as error:
            self._set_quiet(True)
            self.connection_lost()
            if anyio.current_time() - self._answered < self.after:
                raise  # the writer tries again
            if self.state is OutageState.THERE:
                self._turn(OutageState.AWAY)
                self.hook(Noted(text=f"{error}: going on into the spool {self.spool.path}", warning=True))
            await self.write(batch)
        except OutOfMemory:
            self._set_quiet(False)
            raise
        else:
            self._answered = anyio.current_time()
            self._set_quiet(False)
        finally:
            patience.cancel()

    def _set_quiet(self, is_quiet: bool) -> None:
        if is_quiet is not self.is_quiet:
            self.is_quiet = is_quiet
            self.changed()

    async def _wait(self, changed: anyio.Event, why: str = "") -> None:
        """Wait for another state, until the deadline of the outage. During a replay there is no deadline."""
        left = self._answered + self.deadline - anyio.current_time()
        if self.state is OutageState.REPLAYING:
            await changed.wait()
            return
        with anyio.move_on_after(left):
            await changed.wait()
            return
        raise AwayForTooLong(f"the server was away for {self.deadline:g} s{why}")

    def _turn(self, state: OutageState) -> None:
        if state is not self.state:
            self.state = state
            self._changed.set()
            self._changed = anyio.Event()
            self.changed()
            self._tell()

    def _tell(self) -> None:
        self.hook(
            Spooled(
                where=str(self.spool.path),
                chunks=len(self.spool.chunks),
                nbytes=self.spool.nbytes,
                replaying=self.state is OutageState.REPLAYING,
            )
        )
