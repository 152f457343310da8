"""What a soak has found, in figures and in words."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from tests.support.soak.oracle import Case


@dataclass(slots=True, kw_only=True)
class Findings:
    """What a soak has found. Points lost and wrong; leaked are keys, files, connections, tasks and threads."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    ingests: int = 0
    attempts: int = 0
    max_attempts: int = 0
    acked: int = 0
    spooled: int = 0
    points: int = 0
    lost: int = 0
    wrong: int = 0
    leaked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        faults = ", ".join(f"{kind} {n}" for kind, n in sorted(self.faults.items()))
        endings = ", ".join(f"{kind} {n}" for kind, n in sorted(self.endings.items()))
        return (
            f"seed {self.seed}: {self.faults.total()} faults in {self.seconds:.0f} s ({faults}); "
            f"{self.ingests} ingests in {self.attempts} attempts, at most {self.max_attempts} each ({endings}); "
            f"{self.acked} chunks acked, {self.spooled} of them replayed in the end, {self.points} points compared; "
            f"lost {self.lost}, wrong {self.wrong}, leaked {len(self.leaked)}"
            + "".join(f"\n  {each}" for each in self.leaked + self.problems)
        )

    def ended(self, attempt: int, ending: object) -> None:
        """Count the attempt of an ingest that has this number, by what it ended in."""
        self.attempts += 1
        self.endings[str(ending)] += 1
        self.max_attempts = max(self.max_attempts, attempt)

    def problem(self, case: Case, text: str) -> None:
        shown = f"{case.layout} {case.codec} {case.psi.shape} writers {case.writers}"
        shown += f" spool {case.spool_limit} deadline {case.deadline}"
        self.problems.append(f"{time.strftime('%H:%M:%S')} {case.name} ({shown}): {text}")

    def lose(self, case: Case, number: int, text: str) -> None:
        """Count something as lost, if nobody can say how many points of it."""
        self.lost += max(1, number)
        self.problem(case, f"{number} {text}")
