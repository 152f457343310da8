"""A picture of the stages: points/s of all jobs together, and how long another client waits."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from ..plotting.figure import new_figure
from .stage import Stage

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_stages(stages: Sequence[Stage], title: str) -> Figure:
    """A Figure of the median of each stage, with the defaults and with the best candidate; bars reach from the least
    to the most. Raises UsageError if matplotlib is not installed."""
    figure = new_figure(2, wide=True)
    rates, waits = figure.subplots(1, 2)
    shown = [stage for stage in stages if stage.pairs]
    for label, colour, runs in (
        ("the defaults", "0.5", [stage.pairs.usual for stage in shown]),
        ("the best", "C0", [stage.pairs.ours for stage in shown]),
    ):
        jobs = [stage.jobs for stage in shown]
        _line(rates, jobs, [[one.rate / 1e6 for one in some] for some in runs], label, colour)
        _line(waits, jobs, [[one.p99 for one in some] for some in runs], label, colour)
    rates.set_ylabel("million points/s, all jobs")
    waits.set_ylabel("another client's p99 (ms)")
    for axes in (rates, waits):
        axes.set_xlabel("jobs at once")
        axes.set_xticks([stage.jobs for stage in shown])
        axes.set_ylim(bottom=0)
        axes.legend()
    figure.suptitle(title)
    return figure


def _line(axes: object, jobs: list[int], values: list[list[float]], label: str, colour: str) -> None:
    middles = [median(some) for some in values]
    below = [middle - min(some) for middle, some in zip(middles, values, strict=True)]
    above = [max(some) - middle for middle, some in zip(middles, values, strict=True)]
    axes.errorbar(jobs, middles, yerr=[below, above], marker="o", capsize=3, label=label, color=colour)  # type: ignore[attr-defined] # matplotlib has no types here
