"""How a storage stands with its server: what is known of outages. Only this says it; who notices, sets it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

Mode = Literal["online", "offline", "merging"]


@dataclass(slots=True, kw_only=True)
class Standing:
    """The mode of a storage, and `since` when (local time). Counts are those of this process.

    `overlay_path` is the file of this host that was written last. `failovers` are the times that this
    storage went offline, `recoveries` those that it came back; `merged` is the number of entries that it
    brought to the server itself. `trials` counts those that it turned to a state, by the state's name.
    """

    since: datetime = field(default_factory=datetime.now)
    overlay_path: Path | None = None
    failovers: int = 0
    recoveries: int = 0
    merged: int = 0
    trials: Counter[str] = field(default_factory=Counter)
    _elsewhere: dict[int, Mode] = field(default_factory=dict)

    @property
    def mode(self) -> Mode:
        """Offline while one study is: on a cluster each has a node of its own."""
        modes = self._elsewhere.values()
        return "offline" if "offline" in modes else "merging" if modes else "online"

    def turn(self, study_id: int, mode: Mode) -> None:
        """Note the mode of one study from now on."""
        before = self.mode
        if mode == "online":
            self._elsewhere.pop(study_id, None)
        else:
            self._elsewhere[study_id] = mode
        if self.mode != before:
            self.failovers += before == "online"
            self.recoveries += self.mode == "online"
            self.since = datetime.now()
