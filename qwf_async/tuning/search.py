"""The search of one stage: trials of a study of Optuna, each of which measures a candidate and the defaults in turn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.to_thread import run_sync

from ..errors import QwfError
from .candidate import Candidate
from .crew import Crew, Measured, Run
from .space import Space
from .stage import Pairs, Tried

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial, Trial

ROUNDS: Final = 3
"""Pairs that a trial measures; its value is the median of their ratios."""

PRUNED_FROM: Final = 0.3
"""p from which on a trial goes on. If both of the first two pairs are behind those of the best one, it is 1/4."""

STARTUP_TRIALS: Final = 8
"""Trials that are drawn at random before the sampler learns from them."""

PAIRS: Final = "pairs"
"""The attribute of a trial that holds what it measured."""

LIMITS: Final = "excesses"
"""The attribute of a trial that says by how much it exceeds what it may."""


class DefaultsFailed(Exception):
    """A run of the defaults met an error, which is the cause of this one: the jobs are too many, or all is."""


def open_study(storage: BaseStorage | None, name: str, *, resume: bool, seed: int) -> Study:
    """A study of that name: a new one, or with `resume` the one that is there."""
    import optuna

    with warnings.catch_warnings():  # both are marked as experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=STARTUP_TRIALS,
            seed=seed,
            constraints_func=None if _tells_constraints() else _excesses,
        )
        pruner = optuna.pruners.WilcoxonPruner(p_threshold=PRUNED_FROM, n_startup_steps=2)
    return optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize",
        sampler=sampler,
        pruner=pruner,
        load_if_exists=resume,
    )


def results_of(study: Study, space: Space) -> tuple[list[Tried], int, int]:
    """The trials that were measured whole, and how many were pruned and failed. May block."""
    states = _states()
    trials = study.get_trials(deepcopy=False)
    tried = [
        Tried(
            number=trial.number,
            candidate=space.chosen(trial.params),
            pairs=Pairs.from_json(trial.user_attrs[PAIRS]),
        )
        for trial in trials
        if trial.state == states.COMPLETE and PAIRS in trial.user_attrs
    ]
    ended = [trial.state for trial in trials]
    return tried, ended.count(states.PRUNED), ended.count(states.FAIL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The trials of a stage. Each run is like `run` but for its candidate; `tell` is told of each trial."""

    crew: Crew
    space: Space
    study: Study
    run: Run
    max_p99: float | None
    tell: Callable[[str], object]

    async def begin(self, first: Sequence[Candidate]) -> None:
        """Enqueue the candidates to begin with, unless there are trials; what a dead tuner left running has failed."""
        await run_sync(self._begin, first)

    async def step(self) -> None:
        """Run one trial. Raises DefaultsFailed if the defaults cannot be measured."""
        trial = await run_sync(self.study.ask)
        try:
            await self._measure(trial)
        except BaseException:
            with anyio.CancelScope(shield=True):  # it does not run any more, whatever ended it
                await run_sync(partial(self.study.tell, trial, state=_states().FAIL, skip_if_finished=True))
            raise

    async def pair(self, candidate: Candidate, number: int, run: Run) -> tuple[Measured, Measured]:
        """A run of the candidate and one of the defaults, in an order that changes with the number.

        Raises QwfError if the candidate meets an error, and DefaultsFailed if the defaults do.
        """
        usual = self.space.usual
        if candidate == usual:
            both = await self._defaults(run)
            return both, both
        if number % 2:
            other = await self._defaults(run)
            return await self._ours(candidate, run), other
        ours = await self._ours(candidate, run)
        return ours, await self._defaults(run)

    async def _measure(self, trial: Trial) -> None:
        candidate = await run_sync(self.space.suggested, trial)
        usual = self.space.usual
        pairs = Pairs()
        for number in range(ROUNDS):
            try:
                # The order of the first pair changes from trial to trial.
                pairs = pairs.and_also(*await self.pair(candidate, trial.number + number, self.run))
            except QwfError as error:
                await run_sync(trial.set_user_attr, "error", str(error))
                await run_sync(partial(self.study.tell, trial, state=_states().FAIL))
                self.tell(f"trial {trial.number}: {candidate.described(usual)}: {error}")
                return
            if await run_sync(self._note, trial, pairs):
                await run_sync(partial(self._end, trial, pairs, state=_states().PRUNED))
                self.tell(f"trial {trial.number}: {candidate.described(usual)}: ended, behind the best")
                return
        ratio = median(pairs.ratios)
        await run_sync(partial(self._end, trial, pairs, values=ratio))
        rate = median(one.rate for one in pairs.ours)
        self.tell(
            f"trial {trial.number}: {candidate.described(usual)}: {rate:,.0f} points/s, {ratio:.2f} × the defaults"
        )

    def _note(self, trial: Trial, pairs: Pairs) -> bool:
        """Note the pairs so far in the study. Returns whether the trial is to end."""
        trial.set_user_attr(PAIRS, pairs.to_json())
        trial.set_user_attr(LIMITS, pairs.excesses(self.max_p99))
        trial.report(pairs.ratios[-1], len(pairs) - 1)
        return len(pairs) < ROUNDS and trial.should_prune()

    def _end(self, trial: Trial, pairs: Pairs, **told: Any) -> None:
        """Tell the study how a trial ended that was measured."""
        if _tells_constraints():
            for number, excess in enumerate(pairs.excesses(self.max_p99)):
                trial.set_constraint(str(number), excess)
        self.study.tell(trial, **told)

    async def _ours(self, candidate: Candidate, run: Run) -> Measured:
        return await self.crew.measure(replace(run, candidate=candidate))

    async def _defaults(self, run: Run) -> Measured:
        try:
            return await self.crew.measure(replace(run, candidate=self.space.usual))
        except QwfError as error:
            raise DefaultsFailed from error

    def _begin(self, first: Sequence[Candidate]) -> None:
        states = _states()
        trials = self.study.get_trials(deepcopy=False)
        for trial in trials:
            if trial.state == states.RUNNING:
                self.study.tell(trial.number, state=states.FAIL, skip_if_finished=True)
        if not trials:
            for candidate in dict.fromkeys(first):
                self.study.enqueue_trial(self.space.parameters(candidate))


def _tells_constraints() -> bool:
    """Whether trials are told their constraints, as from Optuna 5 on; before, the sampler asks for them."""
    from optuna.trial import Trial

    return hasattr(Trial, "set_constraint")


def _excesses(trial: FrozenTrial) -> list[float]:
    """The constraints of a trial for the sampler. One that measured nothing exceeds nothing."""
    found: list[float] = trial.user_attrs.get(LIMITS, [0.0])
    return found


def _states() -> Any:
    from optuna.trial import TrialState

    return TrialState
