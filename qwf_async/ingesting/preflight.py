"""The checks before anything is written: is the server fit for stored data, and is there room for the data?"""

from __future__ import annotations

from collections.abc import Callable

from ..catalog.beginning import Beginning, Unfinished, decide_beginning
from ..catalog.journal import read_journal
from ..catalog.keys import Keys
from ..catalog.manifest import Manifest
from ..catalog.name_state import read_state
from ..client.retry import until_available
from ..errors import OutOfMemory, Refused
from ..events import Hook, Noted, ServerFacts
from ..layout import LAYOUTS, Form
from ..server.policy import Finding, configure, findings, listpack_findings
from ..store.store import Store
from ..wording import flag, option
from .value_limit import check_value_limit


async def check_server(
    store: Store,
    keys: Keys,
    manifest: Manifest,
    *,
    unfinished: Unfinished,
    overwrite: bool,
    configure_server: bool,
    force: bool,
    hook: Hook,
) -> None:
    """Check the name and the server. The hook is told what is unfit; `configure_server` cures it.

    Raises Refused if the name cannot be taken, if settings should be changed and must not be,
    or if the server takes no values of this size. Then, unless `force`, raises OutOfMemory if
    the server evicts stored data, or if the data is predicted not to fit below the high
    watermark.
    """
    state = await read_state(store.pool, keys)
    beginning = decide_beginning(keys.name, state, manifest, unfinished=unfinished, overwrite=overwrite)
    facts = await store.facts()
    if "CONFIG" in facts.forbidden:  # the watchdog warns of INFO
        if configure_server:
            raise Refused(
                f"{store.pool.address.shown} forbids CONFIG: go on without {flag('configure_server')}"
            )
        hook(Noted(text="the server forbids CONFIG: going on without it", warning=True))
    await check_value_limit(store.pool, manifest.form, facts)
    unfit = findings(facts) + _unpacked(manifest.form, facts)
    if configure_server:
        for change in await configure(store.pool.nodes[0], unfit):
            hook(Noted(text=f"set {change}"))
        unfit = []
    for finding in unfit:
        cure = "; ".join(f"{setting} {value}" for setting, value in finding.cure)
        text = f"{finding.text}" + (f" ({flag('configure_server')} sets {cure})" if cure else "")
        if finding.loses_data and not force:
            raise OutOfMemory(f"{text}; {flag('force')} stores there all the same")
        hook(Noted(text=text, warning=finding.loses_data or finding.wastes_memory))
    if force or beginning.finished:
        return
    try:
        sample = await until_available(store.memory, store.pool.retry)
    except Refused:
        return
    room = sample.room(store.settings.high_watermark)
    if room is None:
        return

    def bytes_of(form: Form) -> float:
        return form.predicted_bytes(facts.software, listpacks=configure_server or not _unpacked(form, facts))

    needed = bytes_of(manifest.form)
    if state.under_way is not None:  # what that load wrote is resumed, or makes room when it is discarded
        left = state.under_way.manifest
        needed -= await _journalled(store, keys, left) * bytes_of(left.form)
    if needed > max(0, room):
        raise OutOfMemory(_refusal(manifest, beginning, bytes_of, needed, max(0, room)))


def _refusal(
    manifest: Manifest, beginning: Beginning, bytes_of: Callable[[Form], float], needed: float, room: float
) -> str:
    """The message for data that does not fit: the figures, and what would fit."""
    form = manifest.form
    text = (
        f"{manifest.points:,} points in layout {form.layout} will need {_amount(needed)} more, and "
        f"{_amount(room)} are free below the watermark"
    )
    cures = []
    others = [] if beginning.resumed else [name for name in LAYOUTS if form.codec in LAYOUTS[name].codecs]
    for layout in others:
        size = bytes_of(Form.of(layout=layout, codec=form.codec, shape=form.shape))
        if layout != form.layout and size <= room:
            cures.append(f"{option('layout', layout)} needs {_amount(size)} and fits")
            break
    if (old := beginning.overwrites) is not None:
        size = old.form.predicted_bytes(None, peak=False)
        text += f"; the old ones, {_amount(size)}, stay until the new ones are published, so both must fit together"
        cures.append("remove the old ones first")
    cures = cures or ["use a smaller grid or a server with more memory"]
    return f"{text}: {', or '.join(cures)} ({flag('force')} tries all the same)"


def _amount(size: float) -> str:
    """A number of bytes, as people read it."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.{0 if size >= 1e7 else 1}f} MB"


def _unpacked(form: Form, facts: ServerFacts) -> list[Finding]:
    """The settings of the server that would turn listpacks into hash tables, where the layout wants listpacks."""
    scheme = form.scheme
    if not scheme.listpack_fields:
        return []
    return listpack_findings(facts, fields=scheme.listpack_fields, value_bytes=scheme.field_bytes)


async def _journalled(store: Store, keys: Keys, left: Manifest) -> float:
    """The share of an unfinished load's chunks that its journal has."""
    return len(await read_journal(store.pool, keys, left)) / len(left.plan)
