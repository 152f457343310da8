"""The tuner: stages of more and more jobs at once, until one more stage is not worth it.

A stage searches on a part of the grid. Its best candidate is then confirmed on the whole grid, or on as
much of it as the time allows, in pairs that the search has not seen: the best of many noisy figures is too high.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from anyio.to_thread import run_sync

from ..errors import QwfError
from ..lattice.grid import Grid, Order
from .candidate import Candidate
from .crew import Crew, Run
from .gain import LEAST_PAIRS, adds, knee_of
from .part import part_shape
from .search import ROUNDS, DefaultsFailed, Search, open_study, results_of
from .space import Space
from .stage import Pairs, Stage, best_of, counted

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage

LEAST_POINTS: Final = 2**15
STAGE_POINTS: Final = 2**20
"""Points that the first run of a stage loads, of all jobs together; but of each job at least the others."""

RUN_TIME: Final = 0.5
"""Seconds that a run of the search is to take: if the first one took less, the next get more points."""

LEAST_RUNS: Final = 30
"""Runs that a stage makes at least, about: each may take so much of the stage's time at most."""

SCALES: Final = (1 / 8, 8)
"""Bounds of how many times as many points the runs of a search get as the first one."""

LEAST_SHARE: Final = 1 / 4
"""Share of its part of the time that a stage needs: with less left, it is not begun."""

CONFIRMING_PAIRS: Final = 7
"""Pairs that confirm the best candidate: the interval of 95 % is then that of the signed-rank test with 7."""

CONFIRMED: Final = "confirmed"
"""The attribute of a study that holds the pairs of its confirmation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for: stages of so many `jobs`, in ascending order, of at most so many `trials`, in `seconds`.

    `max_p99` bounds the waits of another client (ms). `max_rate` bounds all jobs together (points/s).
    """

    space: Space
    jobs: Sequence[int]
    trials: int
    seconds: float
    max_p99: float | None = None
    max_rate: float | None = None


@dataclass(slots=True, kw_only=True)
class Tuner:
    """Runs the stages of a plan. What it has found so far is in `stages`, also while it runs and after it was stopped.

    `studies` names the study of each number of jobs. `tell` is told of each trial, in a line.
    """

    crew: Crew
    grid: Grid
    order: Order
    plan: Plan
    storage: BaseStorage | None
    studies: Callable[[int], str]
    resume: bool = False
    tell: Callable[[str], object] = lambda line: None
    finished: Callable[[Stage], object] = lambda stage: None
    stages: list[Stage] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    async def run(self) -> None:
        """Run stages until one adds less than 5 %, or meets an error, or waits for longer than it may.

        Raises the error of the first stage: then nothing was found.
        """
        carried = self.plan.space.usual
        for number, jobs in enumerate(self.plan.jobs):
            left = self.plan.seconds - (time.monotonic() - self._began)
            if number and left < LEAST_SHARE * self.plan.seconds / len(self.plan.jobs):
                self.tell(f"the time is over: {jobs} jobs and more were not tried")
                return
            self.stages.append(
                Stage(
                    jobs=jobs,
                    study=self.studies(jobs),
                    usual=self.plan.space.usual,
                    max_p99=self.plan.max_p99,
                )
            )
            try:
                await self._stage(jobs, carried, left / (len(self.plan.jobs) - number))
            except DefaultsFailed as error:
                if number == 0 and isinstance(error.__cause__, QwfError):
                    self.stages.clear()
                    raise error.__cause__ from None
                self._update(error=str(error.__cause__))
            self.finished(self.stages[-1])
            if self.is_over:
                return
            carried = self.stages[-1].chosen

    @property
    def is_over(self) -> bool:
        """Whether the last stage is the last one that is of use."""
        *before, last = self.stages
        if last.error is not None or not last.is_within:
            return True
        return bool(before) and not adds(before[-1].rate, last.rate)

    @property
    def knee(self) -> Stage | None:
        """The stage to keep to: of the last number of jobs that was worth it. None if none has a figure.

        One that was not confirmed counts only if there is no other: its figures are of another part of the grid.
        """
        usable = [stage for stage in self.stages if stage.confirmed and stage.is_within]
        if not usable:
            return next((stage for stage in self.stages if stage.pairs), None)
        return usable[knee_of([stage.rate for stage in usable])]

    async def _stage(self, jobs: int, carried: Candidate, seconds: float) -> None:
        begun = time.monotonic()
        plan = self.plan
        study = await run_sync(
            partial(open_study, self.storage, self.studies(jobs), resume=self.resume, seed=jobs)
        )
        if await run_sync(self._restored, study):
            await self._count(study)
            return
        points, rate = max(LEAST_POINTS, STAGE_POINTS // jobs), None
        if plan.max_rate is not None:
            rate = plan.max_rate / jobs
            points = min(points, 1 + int(rate * RUN_TIME))
        run = Run(
            candidate=plan.space.usual,
            shape=part_shape(self.grid.shape, self.order, points),
            jobs=jobs,
            max_rate=rate,
        )
        search = Search(
            crew=self.crew,
            space=plan.space,
            study=study,
            run=run,
            max_p99=plan.max_p99,
            tell=lambda line: self.tell(f"{counted(jobs)}: {line}"),
        )
        try:
            await self.crew.grow(jobs)
        except QwfError as error:
            raise DefaultsFailed from error
        # The first run of new workers, which says how much can be done in the time.
        warmed = time.monotonic()
        warm, _ = await search.pair(plan.space.usual, 0, run)
        beside = time.monotonic() - warmed - warm.seconds
        points = int(_points(run) * _scale(warm.seconds, beside, seconds))
        search = replace(search, run=replace(run, shape=part_shape(self.grid.shape, self.order, points)))
        confirming = self._confirming(replace(search.run, verify=True), warm.rate, seconds / 2)
        reserve = 2 * CONFIRMING_PAIRS * (jobs * _points(confirming) / warm.rate + beside)
        await search.begin([plan.space.usual, carried])
        while True:
            done = await self._count(study)
            self._take_best(_points(search.run))
            if done >= plan.trials or (done > 1 and time.monotonic() - begun > seconds - reserve):
                break
            await search.step()
        await self._confirm(search, confirming, begun + seconds)
        await run_sync(self._keep, study)

    def _confirming(self, run: Run, rate: float, seconds: float) -> Run:
        """The run that confirms: of the whole grid, or of as much of it as can be loaded often enough in the time."""
        points = int(rate * seconds / (2 * CONFIRMING_PAIRS * run.jobs))
        shape = part_shape(self.grid.shape, self.order, max(points, min(_points(run), LEAST_POINTS)))
        return replace(run, shape=shape)

    async def _confirm(self, search: Search, run: Run, deadline: float) -> None:
        """Measure the best candidate against the defaults in new pairs; without one, the defaults alone."""
        best = self.stages[-1].best or self.plan.space.usual
        pairs = Pairs()
        for number in range(CONFIRMING_PAIRS):
            try:
                pairs = pairs.and_also(*await search.pair(best, number, run))
            except QwfError as error:
                self.tell(
                    f"{counted(run.jobs)}: {best.described(search.space.usual)} failed at last: {error}"
                )
                best, pairs = self.plan.space.usual, Pairs()
                pairs = pairs.and_also(*await search.pair(best, number, run))
                break
            run = replace(run, verify=False)
            enough = ROUNDS if best == search.space.usual else LEAST_PAIRS
            if len(pairs) >= enough and (best == search.space.usual or time.monotonic() > deadline):
                break
        self._update(
            best=None if best == search.space.usual else best,
            pairs=pairs,
            points=_points(run),
            confirmed=True,
        )

    def _take_best(self, points: int) -> None:
        """Take the best trial into the stage, until it is confirmed; as long as there is none, the first one."""
        stage = self.stages[-1]
        best = best_of(stage.tried, stage.usual, stage.max_p99)
        if best is not None:
            self._update(best=best.candidate, pairs=best.pairs, points=points)
        elif stage.tried:
            first = stage.tried[0].pairs
            self._update(pairs=Pairs(ours=first.usual, usual=first.usual), points=points)

    async def _count(self, study: Study) -> int:
        """Take the trials of the study into the stage. Returns how many have ended."""
        tried, pruned, failed = await run_sync(results_of, study, self.plan.space)
        self._update(tried=tuple(tried), pruned=pruned, failed=failed)
        return len(tried) + pruned + failed

    def _update(self, **changes: object) -> None:
        self.stages[-1] = replace(self.stages[-1], **changes)  # type: ignore[arg-type] # fields by their names

    def _keep(self, study: Study) -> None:
        """Note the confirmation in the study, so that a stage that is done is not done again."""
        stage = self.stages[-1]
        best = None if stage.best is None else self.plan.space.parameters(stage.best)
        study.set_user_attr(CONFIRMED, {"best": best, "points": stage.points, "pairs": stage.pairs.to_json()})

    def _restored(self, study: Study) -> bool:
        """Take the stage from its study, if it was confirmed before. Returns whether it was."""
        kept = study.user_attrs.get(CONFIRMED)
        if kept is None:
            return False
        self._update(
            best=None if kept["best"] is None else self.plan.space.chosen(kept["best"]),
            points=kept["points"],
            pairs=Pairs.from_json(kept["pairs"]),
            confirmed=True,
        )
        return True


def _scale(first: float, beside: float, seconds: float) -> float:
    """How many times as many points the runs of a search get as the first one, which took `first` seconds.

    `beside` are the seconds that any run takes besides, `seconds` those of the stage.
    """
    least, most = SCALES
    wanted = max(RUN_TIME, first) / first
    affordable = max(0.0, seconds / LEAST_RUNS - beside) / first
    return max(least, min(most, wanted, affordable))


def _points(run: Run) -> int:
    t, x, y, z = run.shape
    return t * x * y * z
