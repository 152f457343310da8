"""Layout auto: which layout a load takes, the first that will fit on every server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from ..catalog.beginning import Unfinished, decide_beginning
from ..catalog.keys import Keys
from ..catalog.manifest import Manifest
from ..catalog.name_state import read_state
from ..errors import OutOfMemory, UsageError
from ..events import Hook, Noted
from ..human import counted, size
from ..layout import LAYOUTS, Form
from ..server.facts import learn_all
from ..store.store import Store
from ..wording import flag
from .preflight import bytes_on
from .room import Lack, worst_lack

AUTO: Final = "auto"
"""The layout that stands for the first of all layouts that will fit."""


def forms_of(layout: str, of: Callable[[str], Form]) -> list[Form]:
    """The forms that are meant by a layout: one, or for "auto" those of all layouts that go with what else is asked.

    `of` makes the form of a layout by its name. Raises what it raises; for "auto" if no layout will do.
    """
    if layout != AUTO:
        return [of(layout)]
    forms, wrong = [], None
    for name in LAYOUTS:
        try:
            forms.append(of(name))
        except UsageError as error:
            wrong = error
    if wrong is not None and not forms:
        raise wrong
    return forms


async def choose(
    candidates: Sequence[Manifest],
    store: Store,
    keys: Keys,
    *,
    unfinished: Unfinished,
    overwrite: bool,
    listpacks: bool,
    force: bool,
    hook: Hook,
) -> Manifest:
    """The first of several manifests, alike but for their forms, that fits; the hook is told which, and why.

    The form of a load that is to be resumed is taken as it is, and so is that of what is published
    already. `listpacks` are allowed on every server, or as its settings say. Raises OutOfMemory with
    the figures if none fits; with `force` the smallest is taken then. Raises Refused if the
    name cannot be taken.
    """
    if len(candidates) == 1:
        return candidates[0]
    state = await read_state(store.pool, keys)
    if unfinished == "resume":
        for manifest in candidates:
            left_so = state.under_way and not state.under_way.manifest.differences(manifest)
            stored_so = state.under_way is None and state.published and state.published.is_same(manifest)
            if left_so or stored_so:
                hook(Noted(text=f"layout {manifest.form.layout}: that of what is there"))
                return manifest
    decide_beginning(keys.name, state, candidates[0], unfinished=unfinished, overwrite=overwrite)
    every = await learn_all(store.pool)
    sizes = {node: partial(bytes_on, facts=facts, listpacks=listpacks) for node, facts in every.items()}
    left = state.under_way.manifest if state.under_way else None
    lacks: list[tuple[Manifest, Lack]] = []
    for manifest in candidates:
        lack = await worst_lack(store, keys, manifest, left=left, sizes=sizes)
        if lack is None:
            hook(Noted(text=f"layout {manifest.form.layout}: {_why(manifest, lacks)}"))
            return manifest
        lacks.append((manifest, lack))
    figures = ", ".join(f"{manifest.form.layout} needs {size(lack.needed)}" for manifest, lack in lacks)
    manifest, lack = min(lacks, key=lambda each: each[1].needed)
    where = "" if lack.where is None else f" on {lack.where}"
    text = f"{figures} more{where}, and {size(lack.room)} are free below the watermark"
    if not force:
        raise OutOfMemory(
            f"{counted(manifest.points, 'point')} fit in no layout: {text}: use a smaller grid or a server with more "
            f"memory ({flag('force')} tries all the same)"
        )
    hook(Noted(text=f"layout {manifest.form.layout}, although none fits: {text}", warning=True))
    return manifest


def _why(chosen: Manifest, lacks: Sequence[tuple[Manifest, Lack]]) -> str:
    """Why a layout was chosen after others that lack room."""
    needed = size(chosen.form.predicted_bytes(None))
    if not lacks:
        return f"{needed} at most will fit"
    others = ", ".join(f"{manifest.form.layout} needs {size(lack.needed)}" for manifest, lack in lacks)
    return f"{others}, and {size(lacks[-1][1].room)} are free below the watermark; this one needs {needed} at most"
