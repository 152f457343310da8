"""Loads made by hand, without the engine: begun, filled and published step by step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from qwf_async.catalog.beginning import Unfinished
from qwf_async.catalog.journal import JournalEntry
from qwf_async.catalog.keys import Keys, new_generation
from qwf_async.catalog.load import Load
from qwf_async.catalog.manifest import Manifest
from qwf_async.client.pool import Pool
from qwf_async.lattice.grid import Grid
from qwf_async.lattice.plan import BoxPlan
from qwf_async.layout import Form
from tests.conftest import HELD, Server

KEYS = Keys(prefix="qwf", name="psi")
GRID = Grid(shape=(1, 4, 4, 4))
PLAN = BoxPlan.cut(GRID.shape, points=16)
FLAT = Form(layout="flat", codec="c16", plan=PLAN)
HOUR = 3600.0


def manifest(**changes: Any) -> Manifest:
    """Of 64 points in 4 chunks, with a generation of its own."""
    made = Manifest(
        generation=new_generation(),
        form=FLAT,
        grid=GRID,
        source="a test",
        fingerprint="one",
    )
    return replace(made, **changes)


async def begin(
    pool: Pool,
    wanted: Manifest | None = None,
    *,
    keys: Keys = KEYS,
    unfinished: Unfinished = "refuse",
    overwrite: bool = False,
    ttl: float = 30.0,
) -> Load:
    wanted = wanted or manifest()
    load = await Load.begin(pool, keys, wanted, unfinished=unfinished, overwrite=overwrite, ttl=ttl)
    assert isinstance(load, Load)
    HELD.append(load)
    return load


def entry(number: int) -> JournalEntry:
    return JournalEntry(digest=number * 0x1111111111111111, weight=number / 3)


async def fill(pool: Pool, load: Load, numbers: Iterable[int] = range(len(PLAN))) -> None:
    """Journal chunks, without any data."""
    async with pool.connection(KEYS.load) as connection:
        await load.record({number: entry(number) for number in numbers}, connection)


async def publish_one(pool: Pool, *, keys: Keys = KEYS, overwrite: bool = False) -> Manifest:
    load = await begin(pool, keys=keys, overwrite=overwrite)
    await fill(pool, load)
    return await load.publish(1.0)


def data_key(generation: str, keys: Keys = KEYS, *, group: int = 0) -> str:
    return f"{keys.prefix}:{keys.name}:{{{generation}.{group}}}:s"


def journal_key(generation: str, keys: Keys = KEYS, *, group: int = 0) -> str:
    return f"{keys.prefix}:{keys.name}:{{{generation}.{group}}}:j"


def put_data(server: Server, generation: str, keys: Keys = KEYS) -> None:
    """The points of a generation, all of them 1."""
    with server.plain as client:
        for t, x, y, z in np.ndindex(GRID.shape):
            key = data_key(generation, keys, group=PLAN.holding((t, x, y, z)))
            client.hset(key, f"x{x}_y{y}_z{z}_t{t}", np.complex128(1).tobytes())


def fields_at(server: Server, key: str) -> dict[str, str]:
    with server.plain as client:
        return {name.decode(): value.decode() for name, value in client.hgetall(key).items()}


def server_ms(server: Server) -> int:
    """The server's clock, milliseconds."""
    with server.plain as client:
        seconds, micros = client.time()
        return int(seconds) * 1000 + int(micros) // 1000


def set_field(server: Server, key: str, field: str, value: Any) -> None:
    """Change a field that is there."""
    with server.plain as client:
        assert client.hset(key, field, value) == 0


def scratch_of(server: Server, fields: int, keys: Keys = KEYS) -> None:
    with server.plain as client:
        client.hset(keys.scratch, mapping={f"sample {i}": "x" * 20 for i in range(fields)})


async def abandoned(server: Server, pool: Pool, *, seconds: float, keys: Keys = KEYS) -> Load:
    """A load with data and a journal, which was given up so many seconds ago."""
    load = await begin(pool, keys=keys, overwrite=True)
    put_data(server, load.manifest.generation, keys)
    await fill(pool, load, [0, 1])
    await load.release()
    set_field(server, keys.load, "owner_deadline", server_ms(server) - int(seconds * 1000))
    return load


async def superseded(server: Server, pool: Pool, keys: Keys = KEYS) -> tuple[Manifest, Manifest]:
    """A generation that lies in the trash, and the one that took its place."""
    old = await publish_one(pool, keys=keys)
    put_data(server, old.generation, keys)
    new = await publish_one(pool, keys=keys, overwrite=True)
    put_data(server, new.generation, keys)
    return old, new


def between(pool: Pool, marker: str, happens: Callable[[], Awaitable[None]]) -> None:
    """Let something happen right after the pool got the reply to a command that contains `marker`."""
    call = pool.call

    async def call_and_then(*command: Any, **options: Any) -> Any:
        reply = await call(*command, **options)
        if any(marker in str(part) for part in command):
            await happens()
        return reply

    pool.call = call_and_then  # type: ignore[method-assign]


def all_of(generation: str, keys: Keys = KEYS) -> set[bytes]:
    """The keys of all groups of a generation: of their data and their journals."""
    groups = range(len(PLAN))
    return {key(generation, keys, group=n).encode() for key in (data_key, journal_key) for n in groups}
