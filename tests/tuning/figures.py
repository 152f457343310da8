"""Figures as runs would have given them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qwf_async.settings import Settings
from qwf_async.tuning.candidate import Candidate
from qwf_async.tuning.crew import Measured
from qwf_async.tuning.stage import Pairs, Stage

USUAL = Candidate.usual(Settings(), "flat")
OTHER = Candidate(writers=1, producers=1, stream_bytes=2**21, layout="flat")


def measured(rate: float, p99: float = 1.0, size: float = 80.0) -> Measured:
    return Measured(rate=rate, seconds=1.0, p99=p99, bytes_per_point=size)


def pairs_of(ratios: Sequence[float], p99: float = 1.0, size: float = 80.0) -> Pairs:
    return Pairs(
        ours=tuple(measured(100 * ratio, p99, size) for ratio in ratios),
        usual=tuple(measured(100) for _ in ratios),
    )


def staged(
    usual: Candidate, best: Candidate, ratios: Sequence[float], max_p99: float | None = None, **more: Any
) -> Stage:
    """A stage of two jobs whose best candidate was confirmed by pairs of these ratios."""
    return Stage(
        jobs=2,
        study="s",
        usual=usual,
        max_p99=max_p99,
        best=best,
        pairs=pairs_of(ratios),
        points=9,
        confirmed=True,
        **more,
    )
