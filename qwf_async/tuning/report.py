"""What a tuner has found, in words: a table a stage, the last line, and a settings file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from ..lattice.grid import Order, Shape4
from ..wording import printable
from .crew import Measured
from .gain import Gain
from .stage import Pairs, Stage, counted
from .tuner import Tuner

SHOWN_TRIALS: Final = 5
"""Trials in a table, the best ones."""

TUNED: Final = ("writers", "producers", "stream_bytes")
"""What of a candidate is a setting. The rest are options of each ingest."""


def table_of(stage: Stage) -> Iterator[str]:
    """The lines of a stage's table."""
    jobs = counted(stage.jobs)
    ended = f", {stage.pruned} ended early" if stage.pruned else ""
    failed = f", {stage.failed} failed" if stage.failed else ""
    yield f"{jobs}: {len(stage.tried)} trials{ended}{failed}"
    yield f"{'points/s':>14}  {'× defaults':>10}  {'p99 ms':>8}  {'bytes/point':>11}  settings"
    best = sorted(stage.tried, key=lambda one: -median(one.pairs.ratios))
    for one in best[:SHOWN_TRIALS]:
        mark = (
            ""
            if one.pairs.may_be_chosen(stage.max_p99)
            else "  (others wait too long, or it takes more memory)"
        )
        yield _row(one.pairs, median(one.pairs.ratios), one.candidate.described(stage.usual)) + mark
    if stage.error is not None:
        yield f"  {jobs} met an error: {stage.error}"
    elif stage.confirmed and stage.pairs:
        yield from (f"  {line}" for line in _verdict(stage))
    elif stage.best is not None:
        yield f"  best so far, not confirmed: {stage.best.described(stage.usual)}"


def conclusion_of(tuner: Tuner) -> str:
    """How many jobs at once, and why."""
    knee = tuner.knee
    if knee is None:
        return "nothing was measured"
    jobs = counted(knee.jobs)
    after = [stage for stage in tuner.stages if stage.jobs > knee.jobs]
    if not knee.is_within:
        return f"already with {jobs} another client's p99 is above {knee.max_p99:g} ms"
    if not after:
        return f"{jobs}: {knee.rate:,.0f} points/s; more were not tried"
    stage = after[0]
    if stage.error is not None:
        why = f"{stage.jobs} met an error"
    elif not stage.is_within:
        why = f"with {stage.jobs} another client's p99 is above {stage.max_p99:g} ms"
    elif not stage.confirmed:
        why = f"{stage.jobs} were not measured to the end"
    else:
        why = f"{stage.jobs} add {_percent(stage.rate / knee.rate - 1)}"
        if stage.points < knee.points:
            why += (
                f", on {stage.points:,} points a job instead of {knee.points:,}: more time makes that surer"
            )
    return f"{jobs}: {knee.rate:,.0f} points/s; {why}"


def settings_of(stage: Stage) -> dict[str, int]:
    """The settings that differ from those that were there, by their names."""
    changes = stage.chosen.changed(stage.usual)
    return {name: changes[name] for name in TUNED if changes.get(name) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsFile:
    """The settings file of what a tuner has chosen, for a source that its text names."""

    source: str
    stage: Stage
    shape: Shape4
    order: Order

    @property
    def flags(self) -> str:
        """The options that go beside the file."""
        return self.stage.chosen.flags(self.shape, self.order)

    @property
    def text(self) -> str:
        """The file in TOML, with what was measured as comments."""
        stage = self.stage
        chosen = settings_of(stage)
        lines = [
            f"# qwf tune {printable(self.source)}: {stage.jobs} at once, {stage.rate:,.0f} points/s of all",
            *(
                f"# {line}"
                for line in (_verdict(stage) if stage.confirmed else ["stopped before it was confirmed"])
            ),
        ]
        if self.flags:
            lines.append(f"# with {self.flags}")
        return "\n".join([*lines, *(f"{name} = {value}" for name, value in chosen.items())]) + "\n"


def _verdict(stage: Stage) -> Iterator[str]:
    """What the confirmation says."""
    pairs, gain = stage.pairs, stage.pairs.gain
    of = f"{stage.points:,} points a job, {len(pairs)} {'runs' if stage.best is None else 'pairs'}"
    defaults = f"{of}: the defaults {_figures(pairs.usual)}"
    if stage.best is None:
        yield defaults
        if stage.is_within:
            yield "the defaults are fine: nothing that may be chosen was faster"
        else:
            yield f"nothing that was tried keeps another client's p99 within {stage.max_p99:g} ms"
        return
    found = stage.best.described(stage.usual)
    yield f"{defaults}; {found} {_figures(pairs.ours)}: {_percent(gain.middle)} ({_interval(gain)})"
    if stage.chosen != stage.usual:
        yield f"use {found}"
    elif not pairs.may_be_chosen(stage.max_p99):
        yield f"the defaults are fine: with {found} others wait too long, or it takes more memory"
    elif gain.low is not None and gain.low <= 0:
        slower = gain.high is not None and gain.high < 0
        yield f"the defaults are fine: {'they are faster' if slower else 'the interval holds 0'}"
    else:
        yield "the defaults are fine: there are too few pairs to be sure of more"


def _figures(some: Sequence[Measured]) -> str:
    rate, p99 = median(one.rate for one in some), median(one.p99 for one in some)
    return f"{rate:,.0f} points/s (p99 {p99:.1f} ms)"


def _interval(gain: Gain) -> str:
    if gain.low is None or gain.high is None:
        return "too few pairs for an interval"
    return f"95 %: {_percent(gain.low)} to {_percent(gain.high)}"


def _percent(share: float) -> str:
    return f"{100 * share:+.1f} %"


def _row(pairs: Pairs, ratio: float, words: str) -> str:
    sizes: Sequence[float] = [one.bytes_per_point for one in pairs.ours if one.bytes_per_point is not None]
    size = f"{median(sizes):.1f}" if sizes else "unknown"
    rate, p99 = median(one.rate for one in pairs.ours), median(one.p99 for one in pairs.ours)
    return f"{rate:>14,.0f}  {ratio:>10.2f}  {p99:>8.1f}  {size:>11}  {words}"
