"""What was measured, and what follows from it: rates, ratios, and what was the limit. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

Road = Literal["write", "read", "points"]

PLAIN: Final = "plain"
"""What stands in place of a layout for the plain pipeline."""

BUSY: Final = 0.85
"""From this share of the time on, what was busy was the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: so many points in so many seconds, by a layout or by the plain pipeline.

    `client_cpu` is the CPU time of this process, `server_cpu` that of the main thread of the busiest server, and
    `machine_cpu` that of all processes of this machine, in seconds; None is what is not told.
    """

    layout: str
    road: Road
    points: int
    seconds: float
    client_cpu: float
    server_cpu: float | None
    machine_cpu: float | None

    @property
    def rate(self) -> float:
        """Points per second."""
        return self.points / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the runs share: cores of this machine, whether the server is on it too, and a round trip in seconds."""

    cores: int
    is_local: bool
    round_trip: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The median of all runs of one kind, beside the plain pipeline of the same road in the same rounds.

    `ratio` is the median of the ratios of runs that stood side by side.
    """

    layout: str
    road: Road
    rate: float
    ratio: float | None
    limit: str
    client_share: float
    server_share: float | None


def rows_of(runs: Sequence[Run], machine: Machine) -> list[Row]:
    """A row for each layout and road, in the order in which they were first measured. Runs are in the order of time.

    A run of a layout stands beside the plain run of its road that came with the same number.
    """
    rows = []
    for layout, road in dict.fromkeys((run.layout, run.road) for run in runs):
        own = _of(runs, layout, road)
        plain = _of(runs, PLAIN, "read" if road == "points" else road)
        ratios = [ours.rate / theirs.rate for ours, theirs in zip(own, plain, strict=False)]
        client = median(run.client_cpu / run.seconds for run in own)
        server, all_cores = (
            _median(getattr(run, cpu) and getattr(run, cpu) / run.seconds for run in own)
            for cpu in ("server_cpu", "machine_cpu")
        )
        rows.append(
            Row(
                layout=layout,
                road=road,
                rate=median(run.rate for run in own),
                ratio=median(ratios) if ratios and layout != PLAIN else None,
                limit=limit_of(client, server, all_cores, machine),
                client_share=client,
                server_share=server,
            )
        )
    return rows


def limit_of(client: float, server: float | None, all_cores: float | None, machine: Machine) -> str:
    """What limits, by the cores that were busy with the client, the server's main thread, and all of this machine."""
    if server is not None and server >= BUSY:
        return "the server's main thread"
    if client >= BUSY * machine.cores:
        return "the cores of this client"
    if machine.is_local and server is not None and client + server >= BUSY * machine.cores:
        return "the cores, which client and server share"
    if all_cores is not None and all_cores >= BUSY * machine.cores:
        return "the cores: other processes use them too"
    if server is None:
        return "the server or the network: the server does not tell its CPU time"
    if client >= BUSY:
        return "one core of this client"
    return f"waiting: a round trip takes {1e3 * machine.round_trip:.2g} ms"


def _median(values: Iterable[float | None]) -> float | None:
    """The median of those that are known, if any is."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _of(runs: Iterable[Run], layout: str, road: Road) -> list[Run]:
    return [run for run in runs if (run.layout, run.road) == (layout, road)]
