"""Before anything is written: is the server fit for stored data, and will the data fit?"""

from __future__ import annotations

from ..codec import binary_dtype
from ..errors import OutOfMemory, Refused
from ..layout import Form
from ..layout.size import predicted_bytes
from ..manifest import Keys, Manifest
from ..server.facts import ServerFacts
from ..server.policy import Finding, configure, findings, listpack_findings
from ..server.pool import until_available
from ..server.reply import is_number
from ..situation import Unfinished, look
from ..store import Store
from ..wire.buckets import BUCKET
from ..wording import flag
from .events import Hook, Noted


async def check_server(
    store: Store,
    keys: Keys,
    wanted: Manifest,
    *,
    unfinished: Unfinished,
    configure_server: bool,
    force: bool,
    hook: Hook,
) -> None:
    """Look at the server, tell the hook what is unfit, and cure it if `configure_server`.

    Raises OutOfMemory if the server evicts stored data or the data is predicted not to fit
    below the high watermark, unless `force`; Refused if settings were to be changed and may
    not be.
    """
    facts = await store.facts()
    if "CONFIG" in facts.forbidden:  # the watchdog warns of INFO
        if configure_server:
            raise Refused(
                f"{store.pool.address.shown} forbids CONFIG: go on without {flag('configure_server')}"
            )
        hook(Noted(text="the server forbids CONFIG: going on without it", warning=True))
    unpacked = _unpacked(wanted.form, facts)
    listpacks = configure_server or not unpacked
    found = findings(facts) + unpacked
    if configure_server:
        for change in await configure(store.pool, found):
            hook(Noted(text=f"set {change}"))
        found = []
    for finding in found:
        cure = "; ".join(f"{setting} {value}" for setting, value in finding.cure)
        text = f"{finding.text}" + (f" ({flag('configure_server')} sets {cure})" if cure else "")
        if finding.loses_data and not force:
            raise OutOfMemory(f"{text}; {flag('force')} stores there all the same")
        hook(Noted(text=text, warning=finding.loses_data or finding.wastes_memory))
    if force:
        return
    try:
        sample = await until_available(store.memory, store.settings.deadline)
    except Refused:
        return
    needed = await _growth(store, keys, wanted, unfinished, facts.software, listpacks=listpacks)
    room = sample.room(store.settings.high_watermark)
    if room is not None and needed > max(0, room):
        raise OutOfMemory(
            f"{wanted.points:,} points in layout {wanted.form.layout} will need {needed / 1e6:,.0f} MB more, but only "
            f"{max(0, room) / 1e6:,.0f} MB are free below "
            f"the watermark: use a smaller grid or a server with more memory ({flag('force')} tries all the same)"
        )


def _unpacked(form: Form, facts: ServerFacts) -> list[Finding]:
    """What on the server would make hash tables of the buckets of layout packed."""
    dtype = binary_dtype(form.codec)
    if form.layout != "packed" or dtype is None:
        return []
    return listpack_findings(facts, fields=BUCKET, value_bytes=dtype.itemsize)


async def _growth(
    store: Store,
    keys: Keys,
    wanted: Manifest,
    unfinished: Unfinished,
    software: str | None,
    *,
    listpacks: bool,
) -> float:
    """By how much the data on the server will grow, in bytes, with what a load left there taken into account."""
    needed = predicted_bytes(wanted.form, software, listpacks=listpacks)
    if unfinished == "refuse":
        return needed
    seen = await look(store.pool, keys)
    if seen.under_way is None:
        done = unfinished == "resume" and seen.published and not seen.published.differences(wanted)
        return 0 if done else needed
    left = seen.under_way.manifest
    if unfinished == "resume" and left.differences(wanted):
        return needed
    journal = keys.journal(left.generation)
    chunks: int = await store.pool.call("HLEN", journal, expect=is_number, doing=f"reading {journal}")
    return needed - chunks / len(left.plan) * predicted_bytes(left.form, software, listpacks=listpacks)
