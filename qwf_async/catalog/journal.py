"""The journal of a generation: which of its chunks the server holds, and what was stored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from ..client.guard import HEAD_BYTES, reply_limit
from ..client.pool import Pool
from ..client.reply import is_pairs
from ..errors import DamagedData
from ..server.output_limit import fetch_at_once
from .keys import Keys
from .manifest import Manifest, text_fields

STALE: Final = "stale"
"""The entry of a chunk whose stored values were changed on purpose, so that its digest says nothing."""

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
    """The journal of a generation: chunk number → entry. Raises DamagedData if it is malformed."""
    key = keys.journal(manifest.generation)
    limit, doing = reply_limit(2 * len(manifest.plan), MAX_ENTRY_BYTES), f"reading {key}"

    async def fetch() -> list[bytes]:
        return await pool.call_once("HGETALL", key, expect=is_pairs, doing=doing, limit=limit)

    size = len(manifest.plan) * (MAX_ENTRY_BYTES + HEAD_BYTES)
    reply = text_fields(await fetch_at_once(pool, size, fetch, doing=doing))
    try:
        entries = {int(number): JournalEntry.from_text(text) for number, text in reply.items()}
    except ValueError as error:
        raise DamagedData(f"{key} is not a journal: {error}") from error
    if any(not 0 <= number < len(manifest.plan) for number in entries):
        raise DamagedData(f"{key} names chunks that the plan does not have")
    return entries
