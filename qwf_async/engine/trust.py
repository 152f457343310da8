"""What a resumed load may rely on: its journal, as far as the server has not evicted the data."""

from __future__ import annotations

from ..errors import Refused
from ..load import Load
from ..manifest import JournalEntry, Keys
from ..server.pool import until_available
from ..store import Store
from .events import Hook, Noted
from .verify import differing_chunks


async def trusted_entries(
    store: Store, keys: Keys, load: Load, *, readers: int, hook: Hook
) -> dict[int, JournalEntry]:
    """The entries of a load's journal whose chunks are stored.

    A server that has evicted keys since it was started (`evicted_keys` of its INFO), be it
    with a policy that was set for a moment, may have evicted ours and not their journal:
    there every journalled chunk is read back, and the entries of those that differ are
    removed. Raises as `Load.journal` and `differing_chunks`.
    """
    entries = await load.journal()
    try:
        evicted = (await until_available(store.memory, store.settings.deadline)).evicted
    except Refused:  # no INFO
        return entries
    if not evicted or not entries:
        return entries
    manifest = load.manifest
    layout = manifest.form.open(keys.base(manifest.generation))
    lost = await differing_chunks(
        store.pool, layout, manifest.form.codec, manifest.plan, entries, readers=readers
    )
    if lost:
        await load.forget(lost)
        text = f"the server has lost {len(lost)} of the {len(entries)} chunks that were stored: written again"
        hook(Noted(text=text, warning=True))
    return {number: entry for number, entry in entries.items() if number not in lost}
