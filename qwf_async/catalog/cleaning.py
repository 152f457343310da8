"""Removal of what is expendable, and of nothing else.

Expendable are scratch data, generations in the trash, and loads that were abandoned for longer
than a given time. A journal is deleted before its data. An abandoned load is taken from its
owner by a script before anything of it is touched. Nothing blocks the server: large hashes are
unlinked, and scratch fields are deleted by HSCAN and HDEL in batches.

Nothing of a generation comes back after it was removed. The connections that wrote it are fenced
first, those of this process and those of one that died (`load_connections`, `client.fence`).
Without the right to CLIENT KILL (or CLIENT ID, INFO) that is not guaranteed: requests that were
under way when a connection broke may be carried out later. They are HSETs of data and journal of
that load alone. If the load was removed meanwhile, they leave keys that no record knows, which
`orphans` finds. If it was published, they may undo an update of the same points. Only `verify` can
find that, and only if a source is given that has the update.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice

from ..client.failure import SlotParted, WrongType
from ..client.following import send_commands
from ..client.guard import LISTING_BYTES
from ..client.pool import Pool
from ..client.reply import is_number, is_page, is_pairs
from ..client.retry import until_available
from ..errors import DamagedData
from ..human import count
from ..layout import Form
from .index import known_names, leave
from .keys import Keys
from .load_connections import expel_owner
from .manifest import Manifest, text_fields
from .name_state import read_state
from .scripts import discard, enter, trash
from .scripts.index_entries import BEGINNING
from .trash import TrashEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What was removed: fields of scratch hashes, generations of the trash, abandoned loads.

    `strange_entries` of the trash were left alone: they are not ours, or have more than
    `trash.MAX_KEYS` keys.
    """

    scratch_fields: int = 0
    generations: int = 0
    abandoned_loads: int = 0
    strange_entries: int = 0

    def __add__(self, other: Cleaned) -> Cleaned:
        return Cleaned(
            scratch_fields=self.scratch_fields + other.scratch_fields,
            generations=self.generations + other.generations,
            abandoned_loads=self.abandoned_loads + other.abandoned_loads,
            strange_entries=self.strange_entries + other.strange_entries,
        )

    def __bool__(self) -> bool:
        """Whether anything was removed."""
        return replace(self, strange_entries=0) != Cleaned()

    def to_json(self) -> dict[str, int]:
        return asdict(self)

    def describe(self) -> str:
        counts = {
            "scratch fields": self.scratch_fields,
            "superseded generations": self.generations,
            "abandoned loads": self.abandoned_loads,
        }
        done = ", ".join(f"{count(n)} {what}" for what, n in counts.items() if n) or "nothing"
        entries = "entry" if self.strange_entries == 1 else "entries"
        left = f"; left {self.strange_entries} {entries} of trash that are of no wavefunction"
        return done + (left if self.strange_entries else "")


async def clean(
    pool: Pool, prefix: str, *, batch: int, keep_interrupted: float, names: Sequence[str] | None = None
) -> Cleaned:
    """Remove all that is expendable: scratch first, then trash, then abandoned loads.

    `batch` is the number of fields or keys that one request removes at most. An interrupted load
    is kept for `keep_interrupted` seconds. Only `names` are cleaned, or all if that is None.
    """
    if names is None:
        names = await known_names(pool, prefix)
    every = [Keys(prefix=prefix, name=name) for name in names]
    total = Cleaned()
    for keys in every:
        with suppress(WrongType):  # a key that is not ours is left alone, here and below
            total += Cleaned(scratch_fields=await clean_scratch(pool, keys, batch=batch))
    for keys in every:
        with suppress(WrongType):
            total += await _swept(pool, keys, batch=batch)
    for keys in every:
        with suppress(WrongType):
            if await _give_up_abandoned(pool, keys, keep_interrupted):
                await sweep(pool, keys, batch=batch)
                total += Cleaned(abandoned_loads=1)
            await leave(pool, keys)
    return total


async def clean_scratch(pool: Pool, keys: Keys, *, batch: int) -> int:
    """Delete the scratch fields of a name by HSCAN and HDEL. Returns their number."""
    removed, cursor = 0, b"0"
    while True:
        cursor, pairs = await pool.call(
            "HSCAN",
            keys.scratch,
            cursor,
            "COUNT",
            batch,
            expect=is_page,
            doing=f"cleaning {keys.scratch}",
            limit=LISTING_BYTES,
        )
        fields = pairs[::2]  # a small hash comes whole, whatever COUNT says
        for start in range(0, len(fields), batch):
            removed += await pool.call("HDEL", keys.scratch, *fields[start : start + batch], expect=is_number)
        if cursor == b"0":
            return removed


async def sweep(pool: Pool, keys: Keys, *, batch: int) -> int:
    """Delete the generations in a name's trash, journal before data. Returns their number.

    A name that has nothing any more leaves the index.
    """
    return (await _swept(pool, keys, batch=batch)).generations


async def _swept(pool: Pool, keys: Keys, *, batch: int) -> Cleaned:
    """`sweep`, which also counts the entries that it left because they are not ours."""
    entries = text_fields(
        await pool.call(
            "HGETALL", keys.trash, expect=is_pairs, doing=f"reading {keys.trash}", limit=LISTING_BYTES
        )
    )
    if entries:
        await pool.fence_off()  # else connections of ours that broke while writing could bring keys back
    removed, strange = 0, 0
    for generation, entry in entries.items():
        form = TrashEntry(generation, entry).form()
        if form is None:
            strange += 1  # not an entry of ours, so it is left alone
            continue
        await unlink_groups(pool, keys, generation, form, batch)
        await pool.call("HDEL", keys.trash, generation, expect=is_number)
        removed += 1
    if removed:
        await leave(pool, keys)
    return Cleaned(generations=removed, strange_entries=strange)


async def unlink_groups(pool: Pool, keys: Keys, generation: str, form: Form, batch: int) -> None:
    """Delete all groups of a generation, the journal of each before its data; at most `batch` keys at a time."""
    layout = form.open(keys.base(generation))
    pages: list[list[bytes]] = []
    room = batch
    for group in range(form.groups):
        names = chain((keys.journal(generation, group).encode(),), layout.keys(group))
        while page := list(islice(names, batch)):  # keys of one group are in one slot of a cluster
            if len(page) > room:
                await _unlink(pool, pages)
                pages, room = [], batch
            pages.append(page)
            room -= len(page)
    await _unlink(pool, pages)


async def _unlink(pool: Pool, pages: Sequence[Sequence[bytes]]) -> None:
    """Delete keys, each page of them by one command; key by key where their slot is on its way to another node."""

    async def send(pages: Sequence[Sequence[bytes]]) -> None:
        commands: list[list[str | bytes]] = [["UNLINK", *page] for page in pages]
        await send_commands(pool, commands, expect=is_number, doing="removing keys")

    async def unlink() -> None:
        try:
            await send(pages)
        except SlotParted:
            await send([[key] for page in pages for key in page])

    await until_available(unlink, pool.retry)


async def remove_generation(pool: Pool, keys: Keys, manifest: Manifest, *, batch: int) -> None:
    """Delete a generation, unless it is published or a load under way refers to it. `batch` is as for `clean`."""
    now = (await read_state(pool, keys)).now
    await enter(pool, keys, BEGINNING)
    if await trash(pool, keys, TrashEntry.of(manifest, now)):
        await enter(pool, keys, manifest.generation)
        await sweep(pool, keys, batch=batch)


async def _give_up_abandoned(pool: Pool, keys: Keys, keep_interrupted: float) -> bool:
    """Turn the load of a name into trash if nobody has held it for `keep_interrupted` seconds."""
    expelled: set[str] = set()
    while True:
        try:
            state = await read_state(pool, keys)
        except DamagedData:
            return False  # not a load of ours, so it is left alone
        load = state.under_way
        if load is None or load.owner.holds(state.now):
            return False
        # If a process died, its deadline may be still to come. Then it counts as interrupted just now.
        if max(0, state.now - load.owner.deadline) < keep_interrupted * 1000:
            return False
        if not load.connections or load.owner.token in expelled:
            break
        expelled.add(await expel_owner(pool, keys, load.owner.token))
    entry, owner = TrashEntry.of(load.manifest, state.now), load.owner
    return await discard(pool, keys, entry, token=owner.token, deadline=owner.deadline)
