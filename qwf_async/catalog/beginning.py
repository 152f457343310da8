"""What it means to begin a load of a name that may hold something already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import Refused
from ..wording import flag
from .manifest import Manifest
from .name_state import NameState

Unfinished = Literal["refuse", "resume", "discard"]
"""What to do with an unfinished load of the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """How a load begins: by which manifest, what it replaces, and which unfinished load becomes trash first.

    If it is `finished`, the very same thing is published already, and nothing begins.
    """

    manifest: Manifest
    overwrites: Manifest | None
    discards: Manifest | None = None
    resumed: bool = False
    finished: bool = False


def decide_beginning(
    name: str, state: NameState, requested: Manifest, *, unfinished: Unfinished, overwrite: bool
) -> Beginning:
    """How a load of `requested` begins under a name, given the state of the name. Pure.

    Raises Refused, which says what is in the way and which option gets past it.
    """
    published, load = state.published, state.under_way
    if load is None:
        if published is None:
            return Beginning(manifest=requested, overwrites=None)
        if unfinished == "resume" and published.is_same(requested):
            return Beginning(manifest=published, overwrites=None, finished=True)
        if not overwrite:
            raise Refused(f"{name} exists already: {flag('overwrite')} replaces it")
        return Beginning(manifest=requested, overwrites=published)
    if load.owner.holds(state.now):
        raise Refused(f"{name} is being loaded by {load.owner.describe()}: wait for it, or stop it")
    if unfinished == "resume":
        differences = load.manifest.differences(requested)
        if differences:
            raise Refused(
                f"the unfinished load of {name} cannot be resumed, it differs in {'; '.join(differences)}: "
                f"{flag('discard')} throws it away"
            )
        return Beginning(manifest=load.manifest, overwrites=published, resumed=True)
    if unfinished == "discard":
        if published is not None and not (overwrite or load.overwrites):
            raise Refused(f"{name} exists already: {flag('overwrite')} with {flag('discard')} replaces it")
        return Beginning(manifest=requested, overwrites=published, discards=load.manifest)
    raise Refused(
        f"there is an unfinished load of {name}: {flag('resume')} goes on with it, {flag('discard')} throws it away"
    )
