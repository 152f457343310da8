"""Before anything is written: is the server fit for stored data, and will the data fit?"""

from __future__ import annotations

from ..errors import OutOfMemory, Refused
from ..layout.size import predicted_bytes
from ..manifest import Manifest
from ..server.policy import configure, findings
from ..store import Store
from .events import Hook, Noted


async def check_server(
    store: Store, wanted: Manifest, *, configure_server: bool, force: bool, hook: Hook
) -> None:
    """Look at the server, tell the hook what is unfit, and cure it if `configure_server`.

    Raises OutOfMemory if the server evicts stored data or the data is predicted not to fit
    below the high watermark, unless `force`; Refused if settings were to be changed and may
    not be.
    """
    facts = await store.facts()
    for command in facts.forbidden:
        hook(Noted(text=f"the server forbids {command}: going on without it", warning=True))
    found = findings(facts)
    if configure_server:
        for change in await configure(store.pool, found):
            hook(Noted(text=f"set {change}"))
        found = []
    for finding in found:
        cure = "; ".join(f"{setting} {value}" for setting, value in finding.cure)
        text = f"{finding.text}" + (f" (--configure-server sets {cure})" if cure else "")
        if finding.loses_data and not force:
            raise OutOfMemory(f"{text}; --force stores there all the same")
        hook(Noted(text=text, warning=finding.loses_data))
    if force:
        return
    try:
        sample = await store.memory()
    except Refused:
        return
    needed = predicted_bytes(wanted.codec, wanted.grid.shape, facts.software)
    if sample.limit is not None and sample.used + needed > store.settings.high_watermark * sample.limit:
        raise OutOfMemory(
            f"{wanted.points:,} points in layout {wanted.layout} will need about {needed / 1e6:,.0f} MB, but only "
            f"{max(0, store.settings.high_watermark * sample.limit - sample.used) / 1e6:,.0f} MB are free below "
            "the watermark: use a smaller grid or a server with more memory (--force tries all the same)"
        )
