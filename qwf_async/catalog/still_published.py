"""Whether a generation that was opened is still what is published under its name."""

from __future__ import annotations

from ..client.pool import Pool
from ..client.reply import is_text_or_none
from ..errors import DamagedData, Refused
from ..wording import flag
from .keys import Keys


async def is_published(pool: Pool, keys: Keys, generation: str) -> bool:
    """Whether this generation is what is published under the name now."""
    published = await pool.call("HGET", keys.meta, "generation", expect=is_text_or_none)
    return published == generation.encode()


def replaced(name: str) -> Refused:
    """The error of a reader or writer whose generation is not published any more."""
    return Refused(f"{name} was replaced or removed since it was opened: open it again")


async def explained(pool: Pool, keys: Keys, generation: str, error: DamagedData) -> DamagedData:
    """The error of a read that found no value or a malformed one, with how to mend it.

    Raises Refused if the value is gone because the generation is not published any more.
    """
    if not await is_published(pool, keys, generation):
        raise replaced(keys.name) from error
    return DamagedData(f"{error}: {flag('overwrite')} ingests it anew")
