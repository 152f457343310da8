"""A contest: on one server, in rounds, each contestant loads an emptied server once in every round.

The order is shuffled anew in every round. A ratio is taken within a round, and the median of
the ratios is what is reported: rates here vary by a third from one minute to the next, ratios
do not.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from .cost import Cost
from .report import Run
from .servers import Running
from .workload import Workload

Load = Callable[[Running, Workload], Cost]


class Measured(Protocol):
    """One server or several, whose figures count together."""

    @property
    def software(self) -> str: ...

    def empty(self) -> int: ...

    def used_memory(self) -> int: ...

    def cpu_seconds(self) -> float: ...


S = TypeVar("S", bound=Measured)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """Who loads, and how many points of the grid at most: slow ones as many as take a second or so.

    Fewer points in one growing hash are if anything loaded faster. `warm` is whether it loads a few
    points before the first round, which pays for imports.
    """

    name: str
    load: Load
    most: int | None = None
    warm: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn(Generic[S]):
    """What a contestant does in each round: `load` so many points into a server."""

    name: str
    points: int
    load: Callable[[S], Cost]

    def run(self, server: S, number: int) -> Run:
        """Load an emptied server in the round of this number."""
        empty = server.empty()
        spent = server.cpu_seconds()
        cost = self.load(server)
        return Run(
            contestant=self.name,
            number=number,
            points=self.points,
            seconds=cost.seconds,
            cpu_seconds=cost.cpu_seconds,
            server_cpu_seconds=server.cpu_seconds() - spent,
            server_bytes=server.used_memory() - empty,
        )


def contest(server: Running, contestants: Sequence[Contestant], work: Workload, rounds: int) -> list[Run]:
    """The runs of all contestants in all rounds."""
    for contestant in contestants:
        if contestant.warm:
            server.empty()
            contestant.load(server, work.part(1 / 64))
    turns = []
    for contestant in contestants:
        part = work.part(min(1.0, (contestant.most or work.points) / work.points))
        load = partial(_load, contestant.load, part)
        turns.append(Turn(name=contestant.name, points=part.points, load=load))
    return in_rounds(server, turns, rounds)


def in_rounds(server: S, turns: Sequence[Turn[S]], rounds: int) -> list[Run]:
    """Every turn once in each round."""
    runs: list[Run] = []
    for number in range(rounds):
        order = random.Random(number).sample(turns, len(turns))
        runs += [turn.run(server, number) for turn in order]
        print(f"{server.software}: round {number + 1} of {rounds} done", flush=True)
    server.empty()
    return runs


def _load(load: Load, work: Workload, server: Running) -> Cost:
    return load(server, work)
