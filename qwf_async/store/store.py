"""The store: what is on a server, opened, listed, read and removed."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread

from ..catalog import scripts
from ..catalog.cleaning import Cleaned, clean, sweep
from ..catalog.index import known_names, leave
from ..catalog.key_memory import sampled_bytes
from ..catalog.keys import Keys, check_name, names_key
from ..catalog.manifest import Manifest
from ..catalog.name_state import NameState, damaged_records, read_state
from ..catalog.orphans import Orphan, find_orphans
from ..catalog.trash import TrashEntry
from ..checked import checked
from ..client.address import Address
from ..client.failure import ConnectionLost, ServerBusy, WrongType
from ..client.pool import Pool
from ..client.reply import is_number, is_text
from ..client.retry import Retry, until_available
from ..client.tls import TLSFiles, check_files
from ..errors import DamagedData, InvalidInput, QwfError, Refused, ServerUnavailable, UsageError
from ..events import ServerFacts
from ..server.durability import sync_log
from ..server.facts import learn
from ..server.memory import MemoryProbe, MemorySample
from ..settings import Settings, load
from ..wording import option
from .wavefunction import Wavefunction

if TYPE_CHECKING:
    from ..embedded.status import RunningServer


SECOND_CHANCE: Final = 2.0
"""Seconds for which a server is tried again that let us in and was lost before it said anything more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A name in the store: what is published under it, and in words what else is to be known.

    That is a load under way or unfinished, or metadata that cannot be read.
    """

    name: str
    manifest: Manifest | None
    note: str | None = None


class Store:
    """Wavefunctions on one server. Made by `connect`."""

    def __init__(self, pool: Pool, settings: Settings, embedded: RunningServer | None) -> None:
        self._pool = pool
        self._closed = False
        self.settings = settings
        self.embedded = embedded

    @property
    def pool(self) -> Pool:
        """Its connections. Raises UsageError once it is closed."""
        if self._closed:
            raise UsageError("the store is closed: work within `async with qwf_async.connect(…) as store`")
        return self._pool

    @property
    def address(self) -> Address:
        """Where the server is, also of a closed store."""
        return self._pool.address

    async def aclose(self) -> None:
        """Close the connections; what was opened of the store says then that it is closed. May be called twice."""
        self._closed = True
        await self._pool.aclose()

    @checked
    async def open(self, name: str) -> Wavefunction:
        """The wavefunction published under a name. Raises InvalidInput if there is none."""
        seen = await read_state(self.pool, self._keys(name))
        if seen.published is None:
            note = _loading(seen)
            raise InvalidInput(
                f"there is no wavefunction {name!r} on {self.pool.address.shown}{f'; {note}' if note else ''}"
            )
        return Wavefunction(self, name, seen.published)

    async def entries(self) -> list[Entry]:
        """Everything in the store, sorted by name."""
        found = []
        for name in await known_names(self.pool, self.settings.prefix):
            try:
                seen = await read_state(self.pool, self._keys(name))
            except (DamagedData, WrongType) as error:
                found.append(Entry(name=name, manifest=None, note=str(error)))
                continue
            if seen.published or seen.under_way:
                found.append(Entry(name=name, manifest=seen.published, note=_loading(seen)))
        return found

    @checked
    async def remove(self, name: str) -> bool:
        """Delete what is published under a name, and its unfinished load if nobody holds it.

        Nothing blocks the server: hashes are unlinked. Raises InvalidInput if there is no
        such name, and Refused if it is being loaded, or was replaced meanwhile.
        """
        keys = self._keys(name)
        seen = await read_state(self.pool, keys)
        if seen.under_way and seen.under_way.owner.holds(seen.now):
            raise Refused(f"{name} is being loaded by {seen.under_way.owner.describe()}: stop it first")
        if not (seen.published or seen.under_way):
            raise InvalidInput(f"there is no wavefunction {name!r} on {self.pool.address.shown}")
        if seen.published:
            entry = TrashEntry.of(seen.published, seen.now)
            done = await scripts.remove(self.pool, keys, entry)
            if not done and (await read_state(self.pool, keys)).published is not None:
                raise Refused(f"{name} was changed by another process meanwhile; not removed")
        await self.pool.call("UNLINK", keys.scratch, expect=is_number)
        await sweep(self.pool, keys, batch=self.settings.clean_batch)
        if seen.under_way:
            await clean(
                self.pool,
                self.settings.prefix,
                batch=self.settings.clean_batch,
                keep_interrupted=0,
                names=[name],
            )
        await self.secure()
        return True

    @checked
    async def remove_damaged(self, name: str) -> list[str]:
        """Delete those records of a name, published or under way, that cannot be read; their keys.

        Nothing else goes: which data a damaged record meant is not known, and it stays under
        the keys `prefix:name:generation:…`. Raises InvalidInput if no record is damaged, and
        Refused if one changed meanwhile, is another program's or of a later format.
        """
        keys = self._keys(name)
        damaged = await damaged_records(self.pool, keys)
        if not damaged:
            raise InvalidInput(f"no record of {name} is damaged")
        for key, fields in damaged.items():
            if not await scripts.forget(self.pool, key, fields):
                raise Refused(f"{key} was changed by another process meanwhile; not removed")
        await leave(self.pool, keys)
        await self.secure()
        return list(damaged)

    async def clean(self) -> Cleaned:
        """Remove what is expendable, of all names; see `cleaning`."""
        return await clean(
            self.pool,
            self.settings.prefix,
            batch=self.settings.clean_batch,
            keep_interrupted=self.settings.keep_interrupted,
        )

    async def orphans(self, *, remove: bool = False) -> list[Orphan]:
        """Generations with keys that no record knows; with `remove` they are deleted. See `catalog.orphans`."""
        return await find_orphans(self.pool, self.settings.prefix, remove=remove)

    async def facts(self) -> ServerFacts:
        return await learn(self.pool)

    async def server_info(self) -> dict[str, Any]:
        """Facts about the server, and the counts of this store's own connections."""
        facts = await self.facts()
        saved = self.embedded and f"rdb (saved to {self.embedded.data_dir} after each change)"
        return {
            "url": self.pool.address.shown,
            **asdict(facts),
            "durability": saved or facts.durability,
            "connections": self.pool.counts.to_json(),
        }

    def probe(self) -> MemoryProbe:
        """The memory probe of this server."""
        machine = None
        if self.pool.address.is_local:
            from ..embedded.machine import memory_bytes

            machine = memory_bytes()
        return MemoryProbe(pool=self.pool, limit=self.settings.memory_limit, machine=machine)

    async def memory(self) -> MemorySample:
        return await self.probe().sample()

    async def secure(self) -> str:
        """Make all that the server holds as durable as it offers, and say how durable that is.

        `rdb (saved to …)`: the embedded server has saved, and its data outlives its process.
        `aof (synced)`: the server has synced its append-only file since (`server.durability`
        states what that promises). Else nothing was waited for, and the text repeats the
        server's settings: `aof (everysec)` and `rdb (save …)` can lose what was written since
        the server synced or saved last, `memory` loses everything when the server ends, and
        `unknown` is a server that forbids CONFIG GET. Raises QwfError if saving fails.
        """
        if self.embedded is not None:
            async with self.pool.connection() as connection:
                try:
                    await connection.call("SAVE", expect=is_text, stall_timeout=math.inf)
                except QwfError as error:
                    raise QwfError(
                        f"stored in memory, but not saved to {self.embedded.data_dir}: {error}"
                    ) from error
            return f"rdb (saved to {self.embedded.data_dir})"
        facts = await self.facts()
        settings = facts.settings or {}
        # With appendfsync no the server never syncs, and WAITAOF would wait in vain.
        syncs = settings.get("appendonly") == "yes" and settings.get("appendfsync") != "no"
        if syncs and await sync_log(self.pool, names_key(self.settings.prefix)):
            return "aof (synced)"
        return facts.durability

    async def bytes_per_point(self, manifest: Manifest, name: str) -> float | None:
        """Memory of the data on the server for each point, sampled; None if the server forbids MEMORY."""
        layout = manifest.form.open(self._keys(name).base(manifest.generation))
        try:
            sizes = await sampled_bytes(self.pool, layout.keys(), fields=1000)
        except Refused:
            return None
        total = sum(size or 0 for size in sizes) * layout.counts.keys
        return total / len(sizes) / manifest.points

    def _keys(self, name: str) -> Keys:
        return Keys(prefix=self.settings.prefix, name=check_name(name))


def pool_to(address: Address, settings: Settings) -> Pool:
    """Connections to a server as the settings want them, none open yet."""
    return Pool(
        address,
        size=settings.max_connections,
        connect_timeout=settings.socket_connect_timeout,
        answer_timeout=settings.socket_timeout,
        keep_idle=settings.health_check_interval,
        deadline=settings.deadline,
    )


@checked
@asynccontextmanager
async def connect(
    url: str | None = None, *, data_dir: Path | str | None = None, settings: Settings | None = None
) -> AsyncIterator[Store]:
    """Connect to a server, and close the connections at the end.

    `url` is `redis://`, `rediss://`, `valkey://` or `unix://`; without one the settings
    decide (QWF_URL, REDIS_URL), and if they name no server the embedded one is used, and
    started if it does not run. It keeps its data in `data_dir`.

    Raises ServerUnavailable if there is no server, Refused if it does not let us in, and
    UsageError if the URL does not parse or a TLS file cannot be used.
    """
    if settings is None:
        settings = await to_thread.run_sync(load)
    if url is not None:
        settings = replace(settings, url=url)
    if data_dir is not None:
        settings = replace(settings, data_dir=Path(data_dir))
    embedded = None
    if settings.url is None:
        from ..embedded.lifecycle import ensure

        embedded = await ensure(settings.data_dir, maxmemory=settings.memory_limit)
    tls = TLSFiles(ca=settings.tls_ca, cert=settings.tls_cert, key=settings.tls_key)
    if embedded:  # which has no password: that of the settings is for another
        address = Address.parse(embedded.url)
    else:
        address = Address.parse(settings.url or "", password=settings.password, tls=tls)
    await to_thread.run_sync(check_files, address.options)
    pool = pool_to(address, settings)
    store = Store(pool, settings, embedded)
    try:
        try:
            await pool.probe()
        except ServerBusy:
            await until_available(pool.probe, pool.retry)
        except ConnectionLost:
            await until_available(pool.probe, Retry(deadline=SECOND_CHANCE))
        except ServerUnavailable as error:
            raise ServerUnavailable(
                f"{error} (is the server there, and is rediss:// (TLS) or redis:// right for it? "
                f"Without {option('url')}, QWF_URL and REDIS_URL the embedded one is used)"
            ) from error
        yield store
    finally:
        await store.aclose()


def _loading(seen: NameState) -> str | None:
    load = seen.under_way
    if load is None:
        return None
    if load.owner.holds(seen.now):
        return f"it is being loaded by {load.owner.describe()}"
    return "an unfinished load of it can be resumed"
