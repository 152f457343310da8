"""Faults drawn from a seed, one after the other in each of two lanes: the machine's and the network's.

The lanes run beside each other, so a server may die while its connections are half-open.
What a fault did is undone before the next of its lane; the last leaves all in order.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import redis

from tests.conftest import PATIENCE, Server
from tests.support.relay import Relay

T = TypeVar("T")
Fault = Callable[[random.Random], Coroutine[Any, Any, None]]


def patiently(server: Server, job: Callable[[redis.Redis], T]) -> T:
    """The result of a job on a plain client, tried again while the server is away or busy; in a thread."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with server.plain as client:
                return job(client)
        except (
            redis.exceptions.ConnectionError,
            redis.exceptions.TimeoutError,
            redis.ResponseError,
        ) as error:
            busy = not isinstance(error, redis.ResponseError) or str(error).startswith(("BUSY", "LOADING"))
            if not busy or time.monotonic() > end:
                raise
        time.sleep(0.05)


def start(server: Server) -> None:
    """Start a server that may take its time to load its data, and wait until it has."""
    with suppress(redis.exceptions.TimeoutError):
        server.start()
    patiently(server, redis.Redis.ping)


@dataclass(slots=True, kw_only=True)
class RandomFaults:
    """`left` faults are still to come, of any kind; `drawn` are those that were. `scale` is of their lengths.

    `until` says of each kind until when it lasted, on the monotonic clock.
    """

    server: Server
    relay: Relay
    seed: int
    left: int
    scale: float
    drawn: Counter[str] = field(default_factory=Counter)
    until: dict[str, float] = field(default_factory=dict)
    calm: bool = False

    async def run(self) -> None:
        """Make faults until none are left; then all is in order."""
        machine: list[Fault] = [
            self._kill,
            self._stop,
            self._kill_clients,
            self._fill,
            self._occupy,
            self._forbid,
        ]
        network: list[Fault] = [self._cut, self._tear_requests, self._tear_replies, self._delay, self._slice]
        network += [self._discard, self._refuse]
        async with anyio.create_task_group() as lanes:
            lanes.start_soon(self._lane, "machine", machine)
            lanes.start_soon(self._lane, "network", network)
        await anyio.to_thread.run_sync(patiently, self.server, redis.Redis.ping)
        self.calm = True

    def strike(self, kind: str) -> None:
        """Count a fault that was made by another."""
        self.drawn[kind] += 1
        self.left -= 1

    def since(self, kind: str, begun: float) -> bool:
        """Whether there was such a fault after a moment."""
        return self.until.get(kind, -math.inf) >= begun

    async def _lane(self, name: str, faults: list[Fault]) -> None:
        chance = random.Random(f"{self.seed} {name}")
        while self.left > 0:
            await chance.choice(faults)(chance)
            await anyio.sleep(chance.uniform(0, 0.5) * self.scale)

    @contextmanager
    def _lasting(self, kind: str) -> Iterator[None]:
        self.strike(kind)
        self.until[kind] = math.inf
        yield
        self.until[kind] = time.monotonic()

    async def _wait(self, chance: random.Random, most: float) -> None:
        await anyio.sleep(chance.uniform(0, most) * self.scale)

    async def _ask(self, *command: Any) -> Any:
        def ask(client: redis.Redis) -> Any:
            return client.execute_command(*command)  # type: ignore[no-untyped-call] # untyped in redis-py

        return await anyio.to_thread.run_sync(patiently, self.server, ask)

    async def _kill(self, chance: random.Random) -> None:
        with self._lasting("server killed"):
            await anyio.to_thread.run_sync(self.server.kill)
            await self._wait(chance, 3)
            await anyio.to_thread.run_sync(start, self.server)

    async def _stop(self, chance: random.Random) -> None:
        with self._lasting("server stopped"):
            await anyio.to_thread.run_sync(self.server.stop)
            try:
                await self._wait(chance, 6)
            finally:
                self.server.go_on()

    async def _kill_clients(self, chance: random.Random) -> None:
        with self._lasting("clients killed"):
            for _ in range(chance.randint(1, 5)):
                await self._ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                await self._wait(chance, 0.3)

    async def _fill(self, chance: random.Random) -> None:
        """As if others had filled the server: above the watermark, or above all."""
        with self._lasting("memory"):
            memory = await anyio.to_thread.run_sync(
                patiently, self.server, partial(redis.Redis.info, section="memory")
            )
            limit = int(memory["used_memory"] * chance.uniform(0.5, 1.15))
            await self._ask("CONFIG", "SET", "maxmemory", limit)
            await self._wait(chance, 4)
            await self._ask("CONFIG", "SET", "maxmemory", 0)

    async def _occupy(self, chance: random.Random) -> None:
        done = anyio.Event()

        def loop() -> None:
            with suppress(redis.ResponseError, redis.ConnectionError), self.server.plain as client:
                client.eval("while true do end", 0)

        async def occupy() -> None:
            await anyio.to_thread.run_sync(loop)
            done.set()

        with self._lasting("busy script"):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(occupy)
                await anyio.sleep(0.1 + chance.uniform(0, 2) * self.scale)
                while not done.is_set():
                    with suppress(redis.ResponseError):  # NOTBUSY: it has not begun, or is at its end
                        await self._ask("SCRIPT", "KILL")
                    await anyio.sleep(0.02)

    async def _forbid(self, chance: random.Random) -> None:
        command = chance.choice(["hset", "eval", "eval_ro"])
        with self._lasting("permission"):
            await self._ask("ACL", "SETUSER", "default", f"-{command}")
            await self._wait(chance, 0.5)
            await self._ask("ACL", "SETUSER", "default", f"+{command}")

    async def _cut(self, chance: random.Random) -> None:
        await self._network("cut", chance, self.relay.cut, most=0.0)

    async def _tear_requests(self, chance: random.Random) -> None:
        gaps = [chance.randrange(10 ** chance.randint(1, 6)) for _ in range(chance.randint(1, 5))]
        await self._network("request torn", chance, partial(self.relay.cut_requests, gaps))

    async def _tear_replies(self, chance: random.Random) -> None:
        """With a gap of 0, what was to be replied to has been applied."""
        gaps = [chance.choice([0, 1, chance.randrange(99)]) for _ in range(chance.randint(1, 5))]
        await self._network("reply torn", chance, partial(self.relay.cut_replies, gaps))

    async def _delay(self, chance: random.Random) -> None:
        seconds = chance.uniform(0.01, 0.3)
        delay = partial(self.relay.delay, seconds, jitter=seconds * chance.random(), chance=chance)
        await self._network("delay", chance, delay)

    async def _slice(self, chance: random.Random) -> None:
        await self._network("slices", chance, partial(self.relay.slice, chance.choice([1, 1, 7, 100])))

    async def _discard(self, chance: random.Random) -> None:
        await self._network("half-open", chance, self.relay.discard, most=3.0)

    async def _refuse(self, chance: random.Random) -> None:
        def refuse() -> None:
            self.relay.refuse()
            self.relay.cut()

        await self._network("refused", chance, refuse)

    async def _network(
        self, kind: str, chance: random.Random, begin: Callable[[], None], *, most: float = 2.0
    ) -> None:
        with self._lasting(kind):
            await anyio.to_thread.run_sync(begin)
            await self._wait(chance, most)
            await anyio.to_thread.run_sync(self.relay.normal)
