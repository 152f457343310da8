"""The journal of a generation: which of its chunks the server holds, and what was stored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..client.commands import after_asking, split_requests
from ..client.connection import Buffer, Connection
from ..client.failure import Redirected
from ..client.following import exchange
from ..client.guard import reply_limit
from ..client.node import MAX_NODES, Node
from ..client.parallel import in_parallel
from ..client.pool import Pool
from ..client.reply import is_texts_or_none
from ..client.retry import until_available
from ..errors import DamagedData
from ..wire.numbered_texts import NumberedTexts, hmget
from .keys import JOURNAL, Keys
from .manifest import Manifest

STALE: Final = "stale"
"""The entry of a chunk whose stored values were changed on purpose, so that its digest says nothing."""

ENTRIES_AT_ONCE: Final = 128
"""Entries that are read at a time: so few that no server's limit on what it owes to a client is reached."""

SAMPLED_CHUNKS: Final = 1000
"""Chunks by which it is told how much of a load is stored."""

MAX_ENTRY_BYTES: Final = 64
"""Bytes, more than an entry has: a digest, and a weight of at most 24 digits and signs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """What the journal holds of a chunk: the xxh3-64 digest of its stored values, and Σ|ψ|² (without dV).

    If the chunk was published and then changed on purpose, the digest is None and the weight NaN.
    """

    digest: int | None
    weight: float

    def to_text(self) -> str:
        return STALE if self.digest is None else f"{self.digest:016x} {self.weight!r}"

    @classmethod
    def from_text(cls, text: str) -> JournalEntry:
        """The inverse of `to_text`. Raises ValueError if the text is malformed."""
        if text == STALE:
            return cls(digest=None, weight=math.nan)
        digest, weight = text.split(" ")
        return cls(digest=int(digest, 16), weight=float(weight))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """A request for the entries of a few chunks that one node has: one HMGET for each journal."""

    keys: Keys
    manifest: Manifest
    chunks: NDArray[np.int64]

    @property
    def groups(self) -> NDArray[np.int64]:
        return self.chunks[:1] * 0 if self.manifest.form.one_hash else self.chunks

    @property
    def each(self) -> int:
        """Entries of each journal."""
        return len(self.chunks) // len(self.groups)

    @property
    def request(self) -> Buffer:
        journals = NumberedTexts.of(JOURNAL, self.groups, after=self.keys.base(self.manifest.generation))
        counts = np.full(len(self.groups), self.each)
        return hmget(journals, NumberedTexts.of(b"%d", self.chunks), counts)

    @property
    def limit(self) -> int:
        return reply_limit(len(self.chunks), MAX_ENTRY_BYTES, replies=len(self.groups))

    def expects(self, number: int, reply: Any) -> bool:
        return is_texts_or_none(reply) and len(reply) == self.each

    def doing(self, number: int) -> str:
        return f"reading {self.keys.journal(self.manifest.generation, int(self.groups[number]))}"

    def chunks_of(self, number: int) -> list[int]:
        """The chunks whose entries are in the reply of this number."""
        chunks: list[int] = self.chunks[number * self.each : (number + 1) * self.each].tolist()
        return chunks

    def entries(self, number: int, reply: Sequence[bytes | None]) -> Iterator[tuple[int, JournalEntry]]:
        """The entries in a reply. Raises DamagedData if one is malformed."""
        for chunk, text in zip(self.chunks_of(number), reply, strict=True):
            if text is not None:
                yield chunk, _entry(self.keys, self.manifest, chunk, text)


def _pages(keys: Keys, manifest: Manifest, chunks: NDArray[np.int64]) -> Iterator[_Page]:
    for start in range(0, len(chunks), ENTRIES_AT_ONCE):
        yield _Page(keys=keys, manifest=manifest, chunks=chunks[start : start + ENTRIES_AT_ONCE])


async def read_journal(
    pool: Pool, keys: Keys, manifest: Manifest, some: Sequence[int] | None = None
) -> dict[int, JournalEntry]:
    """The journal of a generation: chunk number → entry, of `some` chunks or of all.

    What was read is not read again after an error. Raises DamagedData if it is malformed, and
    else as `Connection.exchange`.
    """
    unread = np.full(len(manifest.plan), some is None)
    if some is not None:
        unread[some] = True
    entries: dict[int, JournalEntry] = {}

    async def read_of(part: tuple[Node, NDArray[np.int64]]) -> None:
        for page in _pages(keys, manifest, part[1]):
            replies = await exchange(
                pool,
                part[0],
                [page.request],
                len(page.groups),
                expect=page.expects,
                doing=page.doing,
                limit=page.limit,
            )
            for number, reply in enumerate(replies):
                entries.update(page.entries(number, reply))
            unread[page.chunks] = False

    async def read() -> None:
        chunks = np.flatnonzero(unread)
        groups = chunks * (not manifest.form.one_hash)
        nodes = pool.nodes_of(keys.base(manifest.generation), groups)
        await in_parallel(read_of, [(node, chunks[rows]) for node, rows in nodes], MAX_NODES)

    await until_available(read, pool.retry)
    return entries


async def share_stored(pool: Pool, keys: Keys, manifest: Manifest) -> float:
    """The share of the chunks that the journal has, 0 to 1; of many by a sample of them. Raises as `read_journal`."""
    chunks = len(manifest.plan)
    some = range(0, chunks, -(-chunks // SAMPLED_CHUNKS))
    return len(await read_journal(pool, keys, manifest, some)) / len(some)


async def read_journal_over(
    connection: Connection,
    keys: Keys,
    manifest: Manifest,
    chunks: NDArray[np.int64],
    asking: bool = False,
) -> tuple[dict[int, JournalEntry], dict[int, Redirected]]:
    """The journal of chunks [N], over one connection to the node that has it: so one process of a server has all of it.

    Also the chunks of which it has none because their slots went elsewhere, or are on their way, and what it said of
    each. With `asking`, they are on their way to this node. Raises as `read_journal`.
    """
    entries: dict[int, JournalEntry] = {}
    away: dict[int, Redirected] = {}
    for page in _pages(keys, manifest, chunks):
        requests = after_asking(split_requests([page.request])) if asking else [page.request]
        each = 1 + asking
        replies = await connection.exchange(requests, len(page.groups) * each, limit=page.limit * each)
        for number, reply in enumerate(replies[asking::each]):
            if page.expects(number, reply):
                entries.update(page.entries(number, reply))
                continue
            error = connection.error_of(reply, doing=page.doing(number))
            if not isinstance(error, Redirected):
                raise error
            away |= dict.fromkeys(page.chunks_of(number), error)
    return entries, away


def _entry(keys: Keys, manifest: Manifest, number: int, text: bytes) -> JournalEntry:
    try:
        return JournalEntry.from_text(text.decode())
    except ValueError as error:
        key = keys.journal(manifest.generation, manifest.form.group_of(number))
        raise DamagedData(f"{key} is not a journal: {error}") from error
