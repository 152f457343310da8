"""What an ingest reports when it has succeeded."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..grid import Shape4


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One published wavefunction.

    `seconds` and `points_per_s` are of this run; `bytes_sent` are the encoded requests.
    `bytes_per_point` is the server's memory for the data, sampled with MEMORY USAGE (None
    where that is forbidden). `norm` is Σ|ψ|²dV averaged over the frames, None if the grid
    spacing is not known. `durability` says what a crash of the server would leave.
    `already` is true if nothing had to be done, because the same thing was published.
    """

    name: str
    generation: str
    layout: str
    codec: str
    shape: Shape4
    points: int
    bytes_sent: int
    seconds: float
    points_per_s: float
    bytes_per_point: float | None
    retries: int
    spooled_chunks: int
    resumed_chunks: int
    verified: bool
    norm: float | None
    durability: str
    already: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
