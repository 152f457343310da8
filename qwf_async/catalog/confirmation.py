"""That all chunks of a generation are stored, on whichever servers; and how many replicas have them.

What moves, fails over and is replicated together is the slot. A chunk and its entry in the
journal lie in one, and the entry is written last. So a server that lost the end of what it was
given lacks the entry, too: the journal is true of the server it is read from. It is read over
one connection to each primary, between two looks at who that is. What was read counts as long as
the same primary has the slot; else it is read again. So nothing depends on the order in which
servers die, come back or exchange slots meanwhile.

Of a slot that is on its way, key by key, the old node and the new one each have a part. What the
old one does not have any more is read of the new one, at each look, until it is the same as
before. Such a slot may stay so for ever.

One thing can part data and entry. Keys may be moved one by one (MIGRATE) to a node that dies
before its replicas have them. So in a cluster the data themselves are looked at, too, by `audit`,
where a slot has another owner than when `watch` looked, or is on its way. If a primary is gone, it may have had
keys of any slot, and all are looked at.

Replicas confirm by WAIT, once a primary. It counts what its own connection has written, so an
entry is first written again as it is. What they have confirmed outlives a failover to one of
them. It does not outlive a primary without persistence that is restarted, empty, before its
failover: then its replicas empty themselves, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from redis.exceptions import ResponseError

from ..client.connection import Connection
from ..client.failure import Asked
from ..client.node import MAX_NODES, Node
from ..client.parallel import in_parallel
from ..client.pool import Pool
from ..client.reply import is_number
from ..client.retry import until_available
from ..errors import DataLost, ServerUnavailable
from ..server.primary import Primary
from ..wording import again_with, flag
from . import scripts
from .journal import read_journal_over
from .keys import Keys
from .manifest import Manifest
from .still_published import is_published

WAIT_TIME: Final = 10.0
"""Seconds that replicas may take to confirm."""

MAX_LOOKS: Final = 1000
"""Looks at the servers until they stay as they are. Each look reads only what has another primary than before."""

_UNKNOWN: Final = -1

Audit = Callable[[Collection[int]], Awaitable[Collection[int]]]
"""Looks at the data of chunks, and takes those that lack some out of the journal. Returns their numbers."""


class JournalHoles(DataLost):
    """The journal lacks chunks, which were lost; they can be sent again."""


@dataclass(slots=True, kw_only=True)
class Confirmation:
    """What is known of the servers of one generation. `asked`: the replicas of each primary that must confirm."""

    pool: Pool
    keys: Keys
    manifest: Manifest
    asked: int = 0
    audit: Audit | None = None
    _numbers: dict[tuple[str, Primary], int] = field(default_factory=dict)
    _read: NDArray[np.int64] = field(init=False)
    _audited: NDArray[np.int64] = field(init=False)
    _runs: frozenset[str] = frozenset()
    _control: int = _UNKNOWN
    _confirmed: dict[int, int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._read = np.full(self.manifest.form.groups, _UNKNOWN)
        self._audited = self._read.copy()

    @property
    def has_too_few(self) -> bool:
        """Whether fewer replicas have confirmed than were asked for."""
        return (self.replicas or 0) < self.asked

    @property
    def shown(self) -> str:
        """How many replicas have confirmed, of those that were asked for, in words."""
        return (
            f"{self.pool.address.shown}: {self.replicas or 0} of {self.asked} replicas have confirmed "
            f"{self.keys.name}"
        )

    @property
    def replicas(self) -> int | None:
        """How many replicas of each primary have confirmed, at least; None if no primary has any."""
        present = {*np.unique(self._read).tolist(), self._control} - {_UNKNOWN}
        counts = [self._confirmed.get(number) for number in present]
        return None if set(counts) <= {None} else min(count or 0 for count in counts)

    async def watch(self) -> None:
        """Take note of the primaries: from now on, `audit` is told of what came to others."""
        self._audited, self._runs = await until_available(self._look, self.pool.retry)

    def doubt(self, chunks: Iterable[int]) -> None:
        """Let `audit` look at these chunks in any case."""
        self._audited[[self.manifest.form.group_of(number) for number in chunks]] = _UNKNOWN

    async def confirm(self, *, anew: bool = True) -> None:
        """Return once all entries were read of primaries that stayed the same; without `anew`, those that did not.

        Raises JournalHoles if entries are missing, and ServerUnavailable if fewer replicas
        confirm than are asked for.
        """
        if anew:
            self._read[:] = _UNKNOWN
            self._confirmed.clear()
        await until_available(self._confirm, self.pool.retry)
        if self.has_too_few:
            raise TooFewReplicas(f"{self.shown}: nothing was published")

    async def confirm_published(self) -> Primary:
        """Confirm the same of what is published by now, and its control keys, too. Returns who has these.

        Raises DataLost if part of it is gone. How many replicas have confirmed is for the caller to judge.
        """
        try:
            primary = await until_available(self._confirm_control, self.pool.retry)
            await until_available(self._confirm, self.pool.retry)
        except JournalHoles as error:
            if not await is_published(self.pool, self.keys, self.manifest.generation):
                return primary  # another process has removed or replaced it at once
            raise self.loss() from error
        return primary

    def loss(self) -> DataLost:
        """The error for what is published, and not whole any more."""
        return DataLost(
            f"{self.pool.address.shown} lost part of {self.keys.name} while it was published: verify it, or "
            f"ingest it again with {flag('overwrite')}"
        )

    async def _confirm_control(self) -> Primary:
        node = self.pool.node_of(self.keys.meta)
        async with self.pool.connection(self.keys.meta) as connection:
            primary = await Primary.over(connection)
            self._control = self._number(node, primary)
            await self._wait(connection, self._control, primary, self.keys.meta, "generation")
            return primary

    async def _confirm(self) -> None:
        for _ in range(MAX_LOOKS):
            now, runs = await self._look()
            await self._audit(now, runs)
            unread = now != self._read
            if not unread.any():
                return
            parts = [(node, groups[unread[groups]]) for node, groups in self._nodes()]
            before = self._read.copy()
            lacking: list[int] = []

            async def read(part: tuple[Node, NDArray[np.int64]], lacking: list[int] = lacking) -> None:
                lacking += await self._read_part(*part)

            await in_parallel(read, [part for part in parts if part[1].size], MAX_NODES)
            if lacking:
                raise self._holes(len(lacking))
            if (self._read == before).all() and (self._read != _UNKNOWN).all():
                return  # only what is on its way was read, of the same primaries as before
        raise ServerUnavailable(f"the servers that have {self.keys.name} keep changing")

    async def _look(self) -> tuple[NDArray[np.int64], frozenset[str]]:
        """The number of the primary that each group has now, [groups]; and the runs of these primaries."""
        await self.pool.look_again()
        now = np.full(self.manifest.form.groups, _UNKNOWN)
        runs = []

        async def ask(part: tuple[Node, NDArray[np.int64]]) -> None:
            node, groups = part
            async with self.pool.connection(node) as connection:
                primary = await Primary.over(connection)
            now[groups] = self._number(node, primary)
            runs.append(primary.run)

        await in_parallel(ask, self._nodes(), MAX_NODES)
        return now, frozenset(runs)

    async def _audit(self, now: NDArray[np.int64], runs: frozenset[str]) -> None:
        if self.audit is None:
            return
        if self._runs - runs:
            self._audited[:] = _UNKNOWN
        self._runs = runs
        groups = np.flatnonzero(self._audited != now)
        if groups.size and (lost := await self.audit(self._chunks(groups).tolist())):
            raise self._holes(len(lost))
        self._audited = now

    async def _read_part(self, node: Node, groups: NDArray[np.int64], *, asking: bool = False) -> list[int]:
        """Read the entries of groups over one connection to their node. Returns the chunks that it lacks.

        What is on its way to another node is then read there (`asking`). What has moved is left for the next look.
        """
        manifest, keys = self.manifest, self.keys
        chunks = self._chunks(groups)
        async with self.pool.connection(node) as connection:
            primary = await Primary.over(connection)
            number = self._number(node, primary)
            entries, away = await read_journal_over(connection, keys, manifest, chunks, asking)
            known = entries.keys() | away.keys()
            if lacking := [chunk for chunk in chunks.tolist() if chunk not in known]:
                return lacking
            elsewhere = {manifest.form.group_of(chunk): error for chunk, error in away.items()}
            here = groups[~np.isin(groups, list(elsewhere))]
            if here.size:
                journal, chunk = keys.journal(manifest.generation, int(here[0])), int(self._chunks(here)[0])
                if not await self._wait(connection, number, primary, journal, chunk, asking=asking):
                    return [chunk]
            if await Primary.over(connection) != primary:
                raise ServerUnavailable(f"{connection.where} turned to the data of another server")
        if asking:
            self._audited[here[self._read[here] != number]] = _UNKNOWN
        self._read[here] = number
        targets: dict[Node, list[int]] = {}
        for group, error in elsewhere.items():
            target = await self.pool.named_by(error, node)
            if asking or not isinstance(error, Asked):
                self._read[group] = _UNKNOWN
            else:
                targets.setdefault(target, []).append(group)
        for target, its in targets.items():
            lacking += await self._read_part(target, np.array(its), asking=True)
        return lacking

    async def _wait(
        self,
        connection: Connection,
        number: int,
        primary: Primary,
        key: str,
        name: str | int,
        *,
        asking: bool = False,
    ) -> bool:
        """Write a field again as it is, and note how many replicas confirm that. False if there is no such field."""
        if not primary.replicas:
            self._confirmed[number] = None
            return True
        wanted = min(self.asked or 1, primary.replicas)
        before = [["ASKING"]] if asking else []
        *_, made, confirmed = await connection.pipeline(
            [*before, scripts.rewriting(key, name), ["WAIT", wanted, int(WAIT_TIME * 1000)]],
            stall_timeout=2 * WAIT_TIME,
        )
        if isinstance(made, ResponseError) or not is_number(made):
            raise connection.error_of(made, doing=f"writing {key}")
        self._confirmed[number] = confirmed if is_number(confirmed) else 0  # WAIT may be forbidden
        return bool(made)

    def _nodes(self) -> list[tuple[Node, NDArray[np.int64]]]:
        """The nodes as far as is known now, with the numbers of the groups that they have."""
        groups = np.arange(self.manifest.form.groups)
        return list(self.pool.nodes_of(self.keys.base(self.manifest.generation), groups))

    def _chunks(self, groups: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.arange(len(self.manifest.plan)) if self.manifest.form.one_hash else groups

    def _number(self, node: Node, primary: Primary) -> int:
        return self._numbers.setdefault((node.address.shown, primary), len(self._numbers))

    def _holes(self, count: int) -> JournalHoles:
        return JournalHoles(
            f"{self.pool.address.shown} lost {count} chunks of {self.keys.name}: its journal has holes, so it was "
            f"not published; {again_with('resume')}"
        )


class TooFewReplicas(ServerUnavailable):
    """Fewer replicas have confirmed what is stored than the user asked for."""
