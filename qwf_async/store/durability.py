"""How durable the stored data is: it is first brought to disk, as far as the server offers that.

WAITAOF (Redis 7.2, Valkey) waits until the append-only file is synced up to the last change
that its own connection made. On a connection that has changed nothing it answers at once. The
file is one sequence for all connections, so a change made now and synced means that every change
before it, over whichever connection, is synced too.

This is promised then: the server's operating system has handed to the disk all that the server
had applied. It outlives the server's process and a failure of power, as far as the disk keeps
what it has confirmed. Nothing is said of replicas.
"""

from __future__ import annotations

import math
from typing import Final

from ..catalog.keys import Keys
from ..catalog.scripts import touching
from ..client.every_node import NODES_AT_ONCE, number_on_each
from ..client.node import Node
from ..client.parallel import in_parallel
from ..client.pool import Pool
from ..client.reply import is_text
from ..embedded.servers import EmbeddedServers
from ..embedded.status import RunningServer
from ..errors import QwfError
from ..events import ServerFacts
from ..server.facts import learn_all
from ..server.weakest import weakest_of

MAX_SYNC_TIME: Final = 10.0
"""Seconds that a sync may take: with appendfsync everysec it takes one or two, on a busy disk more."""


async def save_embedded(pool: Pool, servers: EmbeddedServers) -> str:
    """Let the embedded servers save their data, all at the same time, and say so. Raises QwfError if one cannot."""

    async def save(shard: tuple[Node, RunningServer]) -> None:
        node, server = shard
        async with node.connection() as connection:
            try:
                await connection.call("SAVE", expect=is_text, stall_timeout=math.inf)
            except QwfError as error:
                raise QwfError(f"stored in memory, but not saved to {server.data_dir}: {error}") from error

    shards = list(zip(pool.nodes, servers.shards, strict=True))
    await in_parallel(save, shards, len(shards))
    return f"rdb (saved to {servers.data_dir})"


async def secured(pool: Pool, prefix: str) -> str:
    """The durability of what the servers hold, each after a sync of its append-only file if it has one.

    See `Store.secure` for the texts.
    """

    every = await learn_all(pool)

    def key(number: int) -> bytes:
        return Keys(prefix=prefix, name=str(number)).control("sync").encode()

    numbers = number_on_each(pool, key)
    said: list[tuple[str, str]] = []

    async def secure(one: tuple[Node, ServerFacts]) -> None:
        node, facts = one
        settings = facts.settings or {}
        # With appendfsync no the server never syncs, and WAITAOF would wait in vain.
        syncs = settings.get("appendonly") == "yes" and settings.get("appendfsync") != "no"
        synced = syncs and node in numbers and await sync_log(pool, key(numbers[node]).decode())
        said.append((facts.where, "aof (synced)" if synced else facts.durability))

    await in_parallel(secure, every.items(), NODES_AT_ONCE)
    return weakest_of(sorted(said))


async def sync_log(pool: Pool, key: str, *, deadline: float = MAX_SYNC_TIME) -> bool:
    """Whether all that the server of `key` holds is now synced to its append-only file. `deadline` in seconds.

    The change that is synced is made in the hash `key`, which is not there, and leaves nothing.
    False also if the server forbids what is needed, or has no WAITAOF. Raises ServerUnavailable
    if it does not answer.
    """
    async with pool.connection(key) as connection:
        made, synced = await connection.pipeline(
            [touching(key), ["WAITAOF", 1, 0, int(deadline * 1000)]], stall_timeout=2 * deadline
        )
    return made == 1 and isinstance(synced, list) and synced[:1] == [1]
