"""What a soak of a cluster has found, in figures and in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class ClusterFindings:
    """What a soak of a cluster has found. `lost_since` are wavefunctions that it lost after they were reported."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    loads: int = 0
    points: int = 0
    lost: int = 0
    wrong: int = 0
    lost_since: int = 0
    reads: int = 0
    changes: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        faults = ", ".join(f"{kind} {n}" for kind, n in sorted(self.faults.items()))
        endings = ", ".join(f"{kind} {n}" for kind, n in sorted(self.endings.items()))
        return (
            f"seed {self.seed}: {self.faults.total()} faults in {self.seconds:.0f} s ({faults}); "
            f"{self.loads} loads ({endings}), {self.points} points compared, {self.lost_since} lost by the "
            f"cluster after the report; {self.reads} reads and {self.changes} changes beside; "
            f"lost {self.lost}, wrong {self.wrong}" + "".join(f"\n  {each}" for each in self.problems)
        )
