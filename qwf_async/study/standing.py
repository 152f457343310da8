"""How a storage stands with its server: what is known of outages. Only this says it; who notices, sets it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

Mode = Literal["online", "offline", "merging"]


@dataclass(slots=True, kw_only=True)
class Standing:
    """`mode`, and `since` when (local time). Counts are those of this process.

    `pending_entries` wait in the file `overlay_path` of this host for the server. `failovers` are the
    times that this storage went offline, `recoveries` those that it came back; `merged` is the
    number of entries that it brought to the server itself.
    """

    mode: Mode = "online"
    since: datetime = field(default_factory=datetime.now)
    overlay_path: Path | None = None
    pending_entries: int = 0
    failovers: int = 0
    recoveries: int = 0
    merged: int = 0

    def turn(self, mode: Mode) -> None:
        """Be in another mode from now on, and count it."""
        if mode != self.mode:
            self.failovers += mode == "offline" and self.mode == "online"
            self.recoveries += mode == "online"
            self.mode, self.since = mode, datetime.now()
