"""What an ingest reports when it has succeeded."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ..catalog.manifest import Manifest
from ..lattice.grid import Shape4


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One published wavefunction.

    `seconds` and `points_per_s` are of this run; `bytes_sent` are the encoded requests.
    `bytes_per_point` is the server's memory for the data, sampled with MEMORY USAGE (None
    where that is forbidden). `norm` is Σ|ψ|²dV averaged over the frames, None if the grid
    spacing is not known. `durability` says what a crash of the server would leave.
    `connections` are the counts of the store's connections since it was opened (`ConnectionCounts`).
    `already` is true if nothing had to be done, because the same thing was published.
    `source_facts` are numbers that the source has about itself, such as the drift of norm
    and energy of a time evolution; empty for most. `warnings` are what the source said of itself
    before it was read, such as that the grid does not hold the state.
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
    source_facts: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    connections: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Manifest, name: str, *, durability: str, already: bool = False) -> Report:
        """What the manifest says; the figures of a run are those of one that had nothing to do."""
        return cls(
            name=name,
            generation=manifest.generation,
            layout=manifest.form.layout,
            codec=manifest.form.codec,
            shape=manifest.grid.shape,
            points=manifest.points,
            bytes_sent=0,
            seconds=0.0,
            points_per_s=0.0,
            bytes_per_point=None,
            retries=0,
            spooled_chunks=0,
            resumed_chunks=0,
            verified=False,
            norm=manifest.norm,
            durability=durability,
            already=already,
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
