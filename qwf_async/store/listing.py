"""What there is in a store: each name, what is published under it, and the load of it that is under way.

Sizes and shares are from small samples, so that a listing of many names stays cheap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Literal, TypeGuard

from redis.exceptions import ResponseError

from ..catalog.index import known_names
from ..catalog.journal import share_stored
from ..catalog.key_memory import bytes_per_point
from ..catalog.keys import Keys
from ..catalog.manifest import Manifest
from ..catalog.name_state import NameState, read_state
from ..client.failure import WrongType
from ..client.following import send_commands
from ..client.parallel import in_parallel
from ..client.pool import Pool
from ..client.reply import is_text_or_none
from ..client.retry import until_available
from ..errors import DamagedData

AT_ONCE: Final = 8
"""Names that are looked at at the same time."""

ASKED_AT_ONCE: Final = 1000
"""Names that one exchange asks of whether they are as they were."""

MAX_MEASURED: Final = 200
"""Names whose memory is measured; of more it is left out."""

SAMPLED_KEYS: Final = 4
SAMPLED_FIELDS: Final = 50
"""Keys of a wavefunction, and fields of each, by which its memory is told: within some per cent of what `info` says."""

State = Literal["published", "loading", "interrupted", "damaged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadStatus:
    """A load that is under way, or that was interrupted; `done` is the share of its chunks that are stored.

    `held` says that its owner, which `owner` names, still works on it. `age` is in seconds, since it began.
    """

    manifest: Manifest
    done: float
    owner: str
    held: bool
    age: float

    def to_json(self) -> dict[str, Any]:
        return {
            "generation": self.manifest.generation,
            "shape": list(self.manifest.grid.shape),
            "source": self.manifest.source,
            "created": self.manifest.created,
            "age_seconds": self.age,
            "chunks": len(self.manifest.plan),
            "done": self.done,
            "owner": self.owner,
            "held": self.held,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A name in the store, what is published under it, and the load of it that is not.

    `note` says in words if a load of it is under way or unfinished, or if a record of it cannot be
    read. `nbytes` is the memory that the published data takes, about; None if it was not measured.
    """

    name: str
    manifest: Manifest | None
    note: str | None = None
    load: LoadStatus | None = None
    nbytes: int | None = None

    @property
    def state(self) -> State:
        """Of what is published, if anything is; else of the load."""
        if self.manifest is not None:
            return "published"
        if self.load is None:
            return "damaged"
        return "loading" if self.load.held else "interrupted"

    @property
    def age(self) -> float | None:
        """Seconds since what is published was stored, or else since the load began."""
        if self.manifest is not None:
            return age_of(self.manifest)
        return None if self.load is None else self.load.age


def age_of(manifest: Manifest) -> float:
    """Seconds since it was stored, by this machine's clock."""
    return (datetime.now(UTC) - datetime.fromisoformat(manifest.created)).total_seconds()


class Listing:
    """The names under a prefix that have something, looked at as often as one likes, by one task at a time.

    Of a name that was published and not being loaded when it was looked at, only two short questions are asked again.
    """

    def __init__(self, pool: Pool, prefix: str) -> None:
        self._pool = pool
        self._prefix = prefix
        self._settled: dict[str, Entry] = {}

    async def entries(self, *, measured: bool) -> list[Entry]:
        """The names, sorted; their memory is told if they are to be `measured`.

        Raises ServerUnavailable, and Refused if the server forbids to read.
        """
        names = await known_names(self._pool, self._prefix)
        entries = await self._unchanged(names)
        measured = measured and len(names) <= MAX_MEASURED

        async def look(name: str) -> None:
            entry = await look_at(self._pool, Keys(prefix=self._prefix, name=name), measured=measured)
            if entry is not None:
                entries[name] = entry

        await in_parallel(look, [name for name in names if name not in entries], AT_ONCE)
        self._settled = {name: entry for name, entry in entries.items() if entry.manifest and not entry.load}
        return [entries[name] for name in names if name in entries]

    async def _unchanged(self, names: Sequence[str]) -> dict[str, Entry]:
        """The entries that are as they were: the same generation is published, and nothing is being loaded."""
        settled = [self._settled[name] for name in names if name in self._settled]
        unchanged = {}
        for start in range(0, len(settled), ASKED_AT_ONCE):
            some = settled[start : start + ASKED_AT_ONCE]
            keys = [Keys(prefix=self._prefix, name=entry.name) for entry in some]
            commands = [["HGET", key, "generation"] for each in keys for key in (each.meta, each.load)]
            replies = await until_available(
                partial(send_commands, self._pool, commands, expect=_is_known, doing="listing names"),
                self._pool.retry,
            )
            for entry, published, load in zip(some, replies[::2], replies[1::2], strict=True):
                if entry.manifest and published == entry.manifest.generation.encode() and load is None:
                    unchanged[entry.name] = entry
        return unchanged


def _is_known(reply: Any) -> TypeGuard[Any]:
    """Whether it is a text, none, or says that the key is of another type, which is looked into then."""
    return is_text_or_none(reply) or (isinstance(reply, ResponseError) and str(reply).startswith("WRONGTYPE"))


async def look_at(pool: Pool, keys: Keys, *, measured: bool) -> Entry | None:
    """What there is of a name; None if there is nothing. Raises as `Listing.entries`."""
    try:
        state = await read_state(pool, keys)
        if not (state.published or state.under_way):
            return None
        return Entry(
            name=keys.name,
            manifest=state.published,
            note=state.describe_load(),
            load=await load_status(pool, keys, state),
            nbytes=await _nbytes(pool, keys, state.published) if measured else None,
        )
    except (DamagedData, WrongType) as error:
        return Entry(name=keys.name, manifest=None, note=str(error))


async def load_status(pool: Pool, keys: Keys, state: NameState) -> LoadStatus | None:
    """How far the load of a name is that is under way, by a sample of its chunks; None if there is none."""
    if state.under_way is None:
        return None
    manifest, owner = state.under_way.manifest, state.under_way.owner
    return LoadStatus(
        manifest=manifest,
        done=await share_stored(pool, keys, manifest),
        owner=owner.describe(),
        held=owner.holds(state.now),
        age=age_of(manifest),
    )


async def _nbytes(pool: Pool, keys: Keys, manifest: Manifest | None) -> int | None:
    if manifest is None:
        return None
    base = keys.base(manifest.generation)
    each = await bytes_per_point(pool, manifest.form, base, most=SAMPLED_KEYS, fields=SAMPLED_FIELDS)
    return None if each is None else round(each * manifest.points)
