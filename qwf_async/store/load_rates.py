"""How fast loads come in, told by what was stored of them at earlier looks. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ..catalog.manifest import Manifest

RATE_TIME: Final = 10.0
"""Seconds over which the rate of a load is told, if samples do not lie further apart: chunks come one by one."""


class Rates:
    """The shares that were stored of each load, and when."""

    def __init__(self) -> None:
        self._past: dict[str, list[tuple[float, float]]] = {}

    def of(self, manifest: Manifest, done: float, time: float) -> float | None:
        """Points a second, now that the share `done` is stored at a time in seconds; None at the first look."""
        past = self._past.get(manifest.generation, [])
        past = [one for one in past[:-1] if one[0] >= time - RATE_TIME] + past[-1:] + [(time, done)]
        self._past[manifest.generation] = past
        first, done_then = past[0]
        return max(0.0, (done - done_then) * manifest.points / (time - first)) if time > first else None

    def keep(self, generations: Collection[str]) -> None:
        """Forget the loads of other generations."""
        self._past = {one: past for one, past in self._past.items() if one in generations}
