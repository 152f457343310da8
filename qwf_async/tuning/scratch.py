"""Scratch names: what a trial stores is nobody's data, and is known by its name.

A name says which process made it, on which boot of which host. So the next one that measures on this host
removes what one that was killed has left, and touches nothing of one that lives.
"""

from __future__ import annotations

import os
import re
import socket
from contextlib import suppress
from typing import Final, Literal

import xxhash

from ..catalog.index import known_names
from ..errors import InvalidInput, Refused
from ..host.processes import boot, start_of
from ..store.store import Store

_FORM: Final = re.compile(r"(?:tune|bench)-([0-9a-f]{16})-([0-9]{1,10})-([0-9]{0,20})-[0-9]{1,6}")


def scratch_name(job: int, kind: Literal["tune", "bench"] = "tune") -> str:
    """The name under which a job of this process stores, by the job's number; `kind` says who measures."""
    pid = os.getpid()
    return f"{kind}-{_host()}-{pid}-{start_of(pid)}-{job}"


async def remove_leftovers(store: Store) -> list[str]:
    """Remove the scratch names of processes of this host that measured and have died. Returns their names."""
    removed = []
    for name in await known_names(store.pool, store.settings.prefix):
        match = _FORM.fullmatch(name)
        if match is None or match[1] != _host() or start_of(int(match[2])) == match[3]:
            continue
        # A worker of that tuner may be removing it at this moment.
        with suppress(InvalidInput, Refused):
            await store.remove(name)
            removed.append(name)
    return removed


def _host() -> str:
    """This host since its last boot, in 16 hex digits."""
    return xxhash.xxh3_64_hexdigest(f"{socket.gethostname()}\0{boot()}".encode())
