"""Counts of what the connections of a pool went through: opened, turned away, lost; and of what was read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class ConnectionCounts:
    """Counts over all connections of a pool, since it was made.

    Each attempt to open a connection counts as one of three. `opened`: the server let it in.
    `turned_away`: the server was there but had no room. `failed`: anything else.

    `borrowed`: times that a connection was lent. `timeouts`: answers that did not come in time,
    those to an attempt included. `lost`: open connections that broke otherwise. `checks`: idle
    connections that were asked whether they still live before they were lent.
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
        """The share of the attempts that the server let in; None before the first attempt."""
        attempts = self.opened + self.failed + self.turned_away
        return self.opened / attempts if attempts else None

    @property
    def reuse(self) -> float | None:
        """The share of the loans that needed no new connection, 1 − opened/borrowed; None before the first loan."""
        return 1 - self.opened / self.borrowed if self.borrowed else None

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"success": self.success, "reuse": self.reuse}


@dataclass(slots=True)
class ReadCounts:
    """What was read over the connections of a pool: reads, points, bytes of their values, seconds that they took."""

    reads: int = 0
    points: int = 0
    nbytes: int = 0
    seconds: float = 0.0

    def add(self, points: int, nbytes: int, seconds: float) -> None:
        self.reads += 1
        self.points += points
        self.nbytes += nbytes
        self.seconds += seconds
