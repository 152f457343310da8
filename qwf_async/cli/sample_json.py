"""A sample of a watched store as one JSON object; `qwf help deployment` documents its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..server.totals import totals

if TYPE_CHECKING:
    from ..events import ServerFacts, ServerSampled


class SampleJson:
    """Makes an object of each sample, in which the settings of a server are only when they are new."""

    def __init__(self) -> None:
        self._settings: dict[str, Mapping[str, str] | None] = {}

    def of(self, sample: ServerSampled, time: float) -> dict[str, Any]:
        several = {"totals": totals(sample.facts)} if len(sample.facts) + len(sample.away) > 1 else {}
        return {
            "time": time,
            "servers": [self._server(facts) for facts in sample.facts],
            **several,
            "away": list(sample.away),
            "loads": None if sample.loads is None else [asdict(load) for load in sample.loads],
            "spools": [asdict(spool) for spool in sample.spools],
            "connections": dict(sample.connections),
        }

    def _server(self, facts: ServerFacts) -> dict[str, Any]:
        told = asdict(facts) | {"hit_rate": facts.hit_rate, "durability": facts.durability}
        if facts.recent is not None:
            told["recent"]["hit_rate"] = facts.recent.hit_rate
        if facts.where in self._settings and self._settings[facts.where] == facts.settings:
            del told["settings"]
        self._settings[facts.where] = facts.settings
        return told
