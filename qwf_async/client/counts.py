"""What the connections of a pool have been through, counted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class ConnectionCounts:
    """`attempts` to open a connection ended as one of these three: `opened` (usable: greeted and let in),
    `turned_away` (the server was there but had no room; such an attempt is queueing) or `failed`.

    `borrowed`: times a connection was lent. `timeouts`: answers, also to an attempt, that did
    not come in time. `lost`: open connections that broke otherwise. `checks`: connections that
    lay idle and were asked whether they still live, before they were lent.
    """

    opened: int = 0
    failed: int = 0
    turned_away: int = 0
    borrowed: int = 0
    timeouts: int = 0
    lost: int = 0
    checks: int = 0

    @property
    def success(self) -> float | None:
        """Share of the attempts that led to a usable connection; None before the first.

        Being turned away counts as no success.
        """
        attempts = self.opened + self.failed + self.turned_away
        return self.opened / attempts if attempts else None

    @property
    def reuse(self) -> float | None:
        """Share of the lendings that needed no new connection, 1 − opened/borrowed; None before the first."""
        return 1 - self.opened / self.borrowed if self.borrowed else None

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"success": self.success, "reuse": self.reuse}
