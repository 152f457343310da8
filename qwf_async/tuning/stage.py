"""What one stage gave: so many jobs at once, with the best candidate against the defaults, pair by pair."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final, Self

from .candidate import Candidate
from .crew import Measured
from .gain import Gain, gain_of

P99_FACTOR: Final = 1.5
P99_MORE: Final = 1.0
"""How long another client may wait at most, if nobody says: 1.5 times as long as with the defaults, and 1 ms more."""

BYTES_FACTOR: Final = 1.05
"""How many bytes a point may take, of those with the defaults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Runs of a candidate and of the defaults in turn: `ours[n]` and `usual[n]` were next to each other."""

    ours: tuple[Measured, ...] = ()
    usual: tuple[Measured, ...] = ()

    def __len__(self) -> int:
        return len(self.ours)

    def and_also(self, ours: Measured, usual: Measured) -> Pairs:
        return Pairs(ours=(*self.ours, ours), usual=(*self.usual, usual))

    @property
    def ratios(self) -> list[float]:
        return [one.rate / other.rate for one, other in zip(self.ours, self.usual, strict=True)]

    @property
    def gain(self) -> Gain:
        return gain_of((one.rate, other.rate) for one, other in zip(self.ours, self.usual, strict=True))

    def excesses(self, max_p99: float | None) -> list[float]:
        """By how much the candidate exceeds what it may, as shares; none is above 0 if it may be chosen.

        They are of p99 of another client's waits, which is `max_p99` ms at most, and of the bytes a point.
        """
        usual_p99 = median(one.p99 for one in self.usual)
        limit = P99_FACTOR * usual_p99 + P99_MORE if max_p99 is None else max_p99
        excesses = [median(one.p99 for one in self.ours) / limit - 1]
        sizes, usual = _sizes(self.ours), _sizes(self.usual)
        if sizes and usual:
            excesses.append(median(sizes) / (BYTES_FACTOR * median(usual)) - 1)
        return excesses

    def may_be_chosen(self, max_p99: float | None) -> bool:
        return all(excess <= 0 for excess in self.excesses(max_p99))

    def to_json(self) -> list[list[dict[str, Any]]]:
        return [[asdict(one) for one in some] for some in (self.ours, self.usual)]

    @classmethod
    def from_json(cls, value: Sequence[Sequence[dict[str, Any]]]) -> Self:
        ours, usual = (tuple(Measured(**one) for one in some) for some in value)
        return cls(ours=ours, usual=usual)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A trial that was measured whole, by its number."""

    number: int
    candidate: Candidate
    pairs: Pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage of a tuner.

    `best` is None if no other candidate than the defaults may be chosen. `pairs` are those by which it was
    confirmed, on `points` points a job; while that is still to come (`confirmed` is False), those of its trial.
    Of the trials, `pruned` ended early and `failed` met an error. `error` says why the stage itself ended early.
    """

    jobs: int
    study: str
    usual: Candidate
    max_p99: float | None
    best: Candidate | None = None
    pairs: Pairs = Pairs()
    points: int = 0
    confirmed: bool = False
    tried: Sequence[Tried] = field(default=())
    pruned: int = 0
    failed: int = 0
    error: str | None = None

    @property
    def chosen(self) -> Candidate:
        """The candidate to use: the best one if its gain is sure, or if the defaults let others wait for too long."""
        if self.best is None or not self.pairs or not self.pairs.may_be_chosen(self.max_p99):
            return self.usual
        defaults = Pairs(ours=self.pairs.usual, usual=self.pairs.usual)
        return (
            self.best if self.pairs.gain.is_sure or not defaults.may_be_chosen(self.max_p99) else self.usual
        )

    @property
    def rate(self) -> float:
        """Points/s of all jobs together with the chosen candidate; 0 if nothing was measured."""
        some = self.pairs.usual if self.chosen == self.usual else self.pairs.ours
        return median(one.rate for one in some) if some else 0.0

    @property
    def usual_rate(self) -> float:
        return median(one.rate for one in self.pairs.usual) if self.pairs else 0.0

    @property
    def is_within(self) -> bool:
        """Whether what is chosen keeps the limit of p99, if the user has set one."""
        if self.max_p99 is None or not self.pairs:
            return True
        some = self.pairs.usual if self.chosen == self.usual else self.pairs.ours
        return median(one.p99 for one in some) <= self.max_p99

    def to_json(self) -> dict[str, Any]:
        gain = self.pairs.gain
        p99 = [
            median(one.p99 for one in some) if some else None for some in (self.pairs.ours, self.pairs.usual)
        ]
        return {
            "jobs": self.jobs,
            "study": self.study,
            "trials": len(self.tried),
            "pruned": self.pruned,
            "failed": self.failed,
            "points": self.points,
            "confirmed": self.confirmed,
            "defaults_are_fine": self.chosen == self.usual,
            "chosen": asdict(self.chosen),
            "points_per_s": self.rate,
            "best": self.best and asdict(self.best),
            "best_points_per_s": median(one.rate for one in self.pairs.ours) if self.best else None,
            "defaults_points_per_s": self.usual_rate or None,
            "gain": {"middle": gain.middle, "low": gain.low, "high": gain.high},
            "p99_ms": p99[0],
            "defaults_p99_ms": p99[1],
            "error": self.error,
        }


def counted(jobs: int) -> str:
    return "1 job" if jobs == 1 else f"{jobs} jobs at once"


def best_of(tried: Iterable[Tried], usual: Candidate, max_p99: float | None) -> Tried | None:
    """The trial of the highest median ratio to the defaults, of those that may be chosen and are not the defaults."""
    fit = [one for one in tried if one.candidate != usual and one.pairs.may_be_chosen(max_p99)]
    return max(fit, key=lambda one: median(one.pairs.ratios), default=None)


def _sizes(some: Iterable[Measured]) -> list[float]:
    return [one.bytes_per_point for one in some if one.bytes_per_point is not None]
