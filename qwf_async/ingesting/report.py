"""What an ingest reports when it has succeeded, and what is counted on the way."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from ..catalog.journal import JournalEntry
from ..catalog.manifest import Manifest
from ..lattice.grid import Shape4
from ..wire.batch import Batch


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
    before and after it was read, such as that the grid does not hold the state.
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


@dataclass(slots=True, kw_only=True)
class Tally:
    """What one run of a load has done so far.

    `entries` is what the journal holds. `points` are stored or safe in the spool by now,
    `sent_points` those of them that this run sent. `resumed_chunks` were in the journal at the
    beginning, `spooled_chunks` came to the server through the spool. `doubtful` are chunks that went
    in pieces to two nodes of a cluster, while their slot moved: such a piece may be lost, and its entry not.
    """

    entries: dict[int, JournalEntry] = field(default_factory=dict)
    points: int = 0
    sent_points: int = 0
    bytes_sent: int = 0
    retries: int = 0
    resumed_chunks: int = 0
    spooled_chunks: int = 0
    doubtful: set[int] = field(default_factory=set)
    published: bool = False
    begun: float = field(default_factory=time.perf_counter)

    def add(self, batch: Batch) -> None:
        """Count a batch that is stored, or safe in the spool."""
        self.bytes_sent += batch.nbytes
        self.points += batch.points
        self.sent_points += batch.points
