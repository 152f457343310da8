"""A load that many processes write, found again on the server by the token that they share."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from ..client.pool import Pool
from ..errors import Refused
from .beginning import Beginning
from .keys import Keys
from .load import Load
from .manifest import Manifest
from .name_state import read_state
from .owner import Owner


def closing_token(token: str) -> str:
    """The token that owns a shared load from the moment on when it is published: its writers do not know it.

    It follows from theirs, so that another process can go on if the one that publishes dies.
    """
    return sha256(f"closed {token}".encode()).hexdigest()[:16]


def joined_load(pool: Pool, keys: Keys, manifest: Manifest, *, token: str, ttl: float) -> Load:
    """The load as one of its writers sees it. The server is not asked; the first renewal tells whether it is there."""
    return Load(
        pool, keys, Beginning(manifest=manifest, overwrites=None, resumed=True), Owner.shared(token), ttl, 0
    )


async def find_load(pool: Pool, keys: Keys, *, token: str, ttl: float) -> Load | None:
    """The load that this token owns, or is about to publish; None if there is none.

    Raises Refused if something else is published by now than the load was to replace.
    """
    state = await read_state(pool, keys)
    record, published = state.under_way, state.published
    if record is None or record.owner.token not in (token, closing_token(token)):
        return None
    if record.overwrites != (published.generation if published else ""):
        raise Refused(f"{keys.name} was changed by another process while this load ran; not published")
    beginning = Beginning(manifest=record.manifest, overwrites=published, resumed=True)
    return Load(pool, keys, beginning, replace(record.owner, deadline=0), ttl, state.now)
