"""A load is held while none of it is written: a block may take longer to compute than the lease lasts."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from weakref import ref

import anyio

from ..catalog.shared_load import joined_load
from ..errors import QwfError, ServerUnavailable
from .background import background
from .ticket import Ticket


def keep(ticket: Ticket) -> None:
    """Renew the lease of a load in the background, for as long as this very object is alive in this process.

    That ends with the load too. To keep what is kept already changes nothing.
    """
    here = background()
    if (kept := here.kept.get(ticket.token)) is None or kept() is None:
        here.kept[ticket.token] = ref(ticket)
        here.start(_keep, here.kept, ref(ticket))


async def _keep(known: dict[str, Any], kept: ref[Ticket]) -> None:
    """Renew three times in a ttl. Whoever writes notices himself that a load is gone, or its server."""
    ticket = kept()
    if ticket is None:
        return
    place, keys, manifest, token, ttl = (
        ticket.place,
        ticket.keys,
        ticket.manifest,
        ticket.token,
        ticket.ttl,
    )
    del ticket
    with suppress(QwfError):
        load = joined_load((await place.open()).pool, keys, manifest, token=token, ttl=ttl)
        while kept() is not None:
            with suppress(ServerUnavailable):
                await load.renew()
            await anyio.sleep(ttl / 3)
    known.pop(token, None)
