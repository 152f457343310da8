"""The store: the wavefunctions on a server, opened, listed, cleaned and removed."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..catalog import scripts
from ..catalog.index import leave
from ..catalog.key_memory import bytes_per_point
from ..catalog.keys import Keys, check_name
from ..catalog.manifest import Manifest
from ..catalog.name_state import damaged_records, read_state
from ..catalog.trash import TrashEntry
from ..checked import checked
from ..client.address import Address
from ..client.every_node import name_of
from ..client.node import Node
from ..client.pool import Pool
from ..client.reply import is_number
from ..errors import InvalidInput, Refused, UnknownName
from ..events import ServerFacts
from ..server.facts import facts_json, learn_all
from ..server.memory import MemoryProbe
from ..server.weakest import weakest
from ..settings import Settings
from .store_pool import StorePool
from .wavefunction import Wavefunction

if TYPE_CHECKING:
    from ..catalog.cleaning import Cleaned
    from ..catalog.orphans import Orphan
    from ..embedded.servers import EmbeddedServers
    from .listing import Entry


class Store:
    """Wavefunctions on one server. Made by `connect`."""

    def __init__(self, pool: Pool, settings: Settings, embedded: EmbeddedServers | None) -> None:
        self._connections = StorePool(pool)
        self.settings = settings
        self.embedded = embedded
        self._counted: tuple[Node, ...] = ()
        self._sharing: Counter[str] = Counter()

    @property
    def pool(self) -> Pool:
        """Its connections. Raises UsageError once the store is closed."""
        return self._connections.pool

    @property
    def address(self) -> Address:
        """Where the server is, also of a closed store."""
        return self._connections.address

    async def aclose(self) -> None:
        """Close the connections. Wavefunctions that were opened then raise UsageError. May be called twice."""
        await self._connections.aclose()

    @checked
    async def open(self, name: str) -> Wavefunction:
        """The wavefunction published under a name. Raises InvalidInput if there is none."""
        state = await read_state(self.pool, self._keys(name))
        if state.published is None:
            note = state.describe_load()
            raise UnknownName(
                f"there is no wavefunction {name!r} on {name_of(self.pool)}{f'; {note}' if note else ''}"
            )
        return Wavefunction(self._connections, self.settings, name, state.published)

    async def opened(self, name: str | Wavefunction) -> Wavefunction:
        """The wavefunction published under a name, or one that is open already and is returned as it is."""
        return name if isinstance(name, Wavefunction) else await self.open(name)

    async def entries(self, *, measured: bool = False) -> list[Entry]:
        """The names in the store that have something, sorted; see `store.listing`."""
        from .listing import Listing

        return await Listing(self.pool, self.settings.prefix).entries(measured=measured)

    @checked
    async def remove(self, name: str, *, generation: str | None = None) -> bool:
        """Delete what is published under a name, and its unfinished load if nobody holds it.

        With `generation` only that is deleted, and if it is not what is published, nothing is.
        Nothing blocks the server: hashes are unlinked. Raises InvalidInput if there is no
        such name, and Refused if it is being loaded, or was replaced meanwhile.
        """
        from ..catalog.cleaning import clean, sweep

        keys = self._keys(name)
        state = await read_state(self.pool, keys)
        if state.under_way and state.under_way.owner.holds(state.now):
            raise Refused(f"{name} is being loaded by {state.under_way.owner.describe()}: stop it first")
        if not (state.published or state.under_way):
            raise UnknownName(f"there is no wavefunction {name!r} on {name_of(self.pool)}")
        if generation is not None and (state.published is None or state.published.generation != generation):
            raise Refused(f"{name} was replaced meanwhile; not removed")
        if state.published:
            entry = TrashEntry.of(state.published, state.now)
            done = await scripts.remove(self.pool, keys, entry)
            if not done and (await read_state(self.pool, keys)).published is not None:
                raise Refused(f"{name} was changed by another process meanwhile; not removed")
        await self.pool.call("UNLINK", keys.scratch, expect=is_number)
        await sweep(self.pool, keys, batch=self.settings.clean_batch)
        if state.under_way and generation is None:
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
        """Delete the records of a name, published or under way, that cannot be read. Returns their keys.

        Nothing else is deleted: which data a damaged record belonged to is not known, and they
        stay under the keys `prefix:name:generation:…`. Raises InvalidInput if no record is
        damaged. Raises Refused if one changed meanwhile, or is of another program or a later format.
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
        """Remove what is expendable, of all names; see `catalog.cleaning`."""
        from ..catalog.cleaning import clean

        return await clean(
            self.pool,
            self.settings.prefix,
            batch=self.settings.clean_batch,
            keep_interrupted=self.settings.keep_interrupted,
        )

    async def orphans(self, *, remove: bool = False) -> list[Orphan]:
        """Generations with keys that no record knows; with `remove` they are deleted. See `catalog.orphans`."""
        from ..catalog.orphans import find_orphans

        return await find_orphans(self.pool, self.settings.prefix, remove=remove)

    async def facts(self) -> tuple[ServerFacts, ...]:
        """What each server of the store says of itself: the only one, or every node, in the order of `pool.nodes`."""
        return tuple((await learn_all(self.pool)).values())

    async def server_info(self) -> dict[str, Any]:
        """Facts about the server, and the counts of this store's own connections.

        Of several nodes each has its facts under `nodes`; sums over them stand beside.
        """
        facts = await self.facts()
        saved = self.embedded and f"rdb (saved to {self.embedded.data_dir} after each change)"
        return {
            "url": self.pool.address.shown,
            **facts_json(facts),
            "durability": saved or weakest(facts),
            "connections": self.pool.counts.to_json(),
        }

    def probe(self, node: Node) -> MemoryProbe:
        """A probe of the memory of one of this store's servers, and of its limit.

        Servers of one machine share its memory, and all share the limit that the user has set.
        """
        nodes, limit = self.pool.nodes, self.settings.memory_limit
        if nodes is not self._counted:  # counted once, as a probe is made for each of many
            self._counted, self._sharing = nodes, Counter(other.address.machine for other in nodes)
        return MemoryProbe(
            node=node,
            limit=limit and max(1, limit // len(nodes)),
            machine=self._machine_memory if node.address.is_local else None,
            sharing=self._sharing[node.address.machine] or 1,
        )

    @cached_property
    def _machine_memory(self) -> int:
        """Bytes. Finding them takes half a millisecond."""
        from ..embedded.machine import memory_bytes

        return memory_bytes()

    async def secure(self) -> str:
        """Make all that the server holds as durable as it offers, and say how durable that is.

        `rdb (saved to …)`: the embedded server has saved, and its data outlives its process.
        `aof (synced)`: the server has synced its append-only file since (`store.durability`
        states what that promises). Otherwise nothing was waited for, and the text repeats the
        server's settings. `aof (everysec)` and `rdb (save …)` can lose what was written since
        the server synced or saved last. `memory` loses everything when the server ends.
        `unknown` is a server that forbids CONFIG GET. Raises QwfError if saving fails.
        """
        from .durability import save_embedded, secured

        if self.embedded is not None:
            return await save_embedded(self.pool, self.embedded)
        return await secured(self.pool, self.settings.prefix)

    async def bytes_per_point(self, manifest: Manifest, name: str) -> float | None:
        """Memory of the data on the server for each point, by a sample; None if the server forbids MEMORY."""
        base = self._keys(name).base(manifest.generation)
        return await bytes_per_point(self.pool, manifest.form, base)

    def _keys(self, name: str) -> Keys:
        return Keys(prefix=self.settings.prefix, name=check_name(name))
