"""The journal of a generation: which of its chunks the server holds, and what was stored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..client.connection import Connection
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


async def read_journal(pool: Pool, keys: Keys, manifest: Manifest) -> dict[int, JournalEntry]:
    """The journal of a generation: chunk number → entry. Raises as `read_journal_over`."""

    chunks = np.arange(len(manifest.plan))
    groups = chunks * (not manifest.form.one_hash)

    async def read() -> dict[int, JournalEntry]:
        entries: dict[int, JournalEntry] = {}

        async def read_of(part: tuple[Node, NDArray[np.int64]]) -> None:
            async with pool.connection(part[0]) as connection:
                entries.update(await read_journal_over(connection, keys, manifest, part[1]))

        await in_parallel(read_of, pool.nodes_of(keys.base(manifest.generation), groups), MAX_NODES)
        return entries

    return await until_available(read, pool.retry)


async def read_journal_over(
    connection: Connection, keys: Keys, manifest: Manifest, chunks: NDArray[np.int64]
) -> dict[int, JournalEntry]:
    """The journal of chunks [N], over one connection to the node that has it: so one process of a server has all of it.

    Raises DamagedData if it is malformed, and else as `Connection.exchange`.
    """
    form = manifest.form
    entries: dict[int, JournalEntry] = {}
    for start in range(0, len(chunks), ENTRIES_AT_ONCE):
        numbers = chunks[start : start + ENTRIES_AT_ONCE]
        groups = numbers[:1] * 0 if form.one_hash else numbers
        counts = np.full(len(groups), len(numbers) // len(groups))
        journals = NumberedTexts.of(JOURNAL, groups, after=keys.base(manifest.generation))
        request = hmget(journals, NumberedTexts.of(b"%d", numbers), counts)
        limit = reply_limit(len(numbers), MAX_ENTRY_BYTES, replies=len(groups))
        replies = await connection.exchange([request], len(groups), limit=limit)
        for group, reply in enumerate(replies):
            if not is_texts_or_none(reply) or len(reply) != counts[group]:
                raise connection.error_of(reply, doing=f"reading {journals[group].decode()}")
        for number, text in zip(numbers.tolist(), chain.from_iterable(replies), strict=True):
            if text is not None:
                entries[number] = _entry(keys, manifest, number, text)
    return entries


def _entry(keys: Keys, manifest: Manifest, number: int, text: bytes) -> JournalEntry:
    try:
        return JournalEntry.from_text(text.decode())
    except ValueError as error:
        key = keys.journal(manifest.generation, manifest.form.group_of(number))
        raise DamagedData(f"{key} is not a journal: {error}") from error
