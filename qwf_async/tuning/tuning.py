"""`tune`: from a source on a server to what a tuner found, whatever ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio.to_thread import run_sync

from ..errors import Interrupted
from ..ingesting.shutdown import shutdown_on_signals
from ..source.base import Source
from ..store.store import Store
from ..wording import again_with
from .candidate import Candidate
from .crew import crew_of
from .names import study_names
from .room import check_jobs_fit
from .scratch import remove_leftovers
from .space import Space, layout_of
from .stage import Stage
from .tuner import Plan, Tuner

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be tuned: the source by its text and options (`open_source`), and within which bounds.

    Stages are of so many `jobs`, ascending, each of at most so many `trials`; all take about `seconds`.
    `layout` is "keep" (that of an ingest), a layout's name, or "any". `max_p99` bounds another client's waits (ms).
    """

    source: str
    options: Mapping[str, Any] = field(default_factory=dict)
    jobs: Sequence[int] = (1, 10, 15, 25, 30)
    trials: int = 40
    seconds: float = 600.0
    layout: str = "keep"
    max_p99: float | None = None
    resume: bool = False


async def tune(
    store: Store,
    source: Source,
    question: Question,
    *,
    signals: bool = False,
    tell: Callable[[str], object] = lambda line: None,
    finished: Callable[[Stage], object] = lambda stage: None,
) -> tuple[Tuner, Interrupted | None]:
    """Tune on a store; `source` is the one of the question, whose grid and order are looked at.

    Returns the tuner with its stages, and the error to raise if a signal stopped it: then the stages are those so
    far. `tell` is told each trial in a line, `finished` each stage. The cap of all jobs together is `max_rate` of the
    store's settings. Nothing is left on the server but the studies, and what a tuner of this host left that has died
    is removed. Raises OutOfMemory if all jobs at once are predicted not to fit, and what the first run of
    the defaults meets.
    """
    usual = Candidate.usual(store.settings, layout_of(question.layout))
    plan = Plan(
        space=Space.of(usual, question.layout),
        jobs=question.jobs,
        trials=question.trials,
        seconds=question.seconds,
        max_p99=question.max_p99,
        max_rate=store.settings.max_rate,
    )
    tuner: Tuner | None = None
    async with shutdown_on_signals(0, enabled=signals) as shutdown:
        with shutdown.scope:
            if removed := await remove_leftovers(store):
                tell(f"removed what a tuner left that has died: {len(removed)} scratch names")
            await check_jobs_fit(store, source.grid, source.order, plan.space, max(question.jobs))
            async with (
                _studies(store, source, question, plan) as (storage, studies),
                crew_of(store, question.source, question.options) as crew,
            ):
                tuner = Tuner(
                    crew=crew,
                    grid=source.grid,
                    order=source.order,
                    plan=plan,
                    storage=storage,
                    studies=studies,
                    resume=question.resume,
                    tell=tell,
                    finished=finished,
                )
                await tuner.run()
    if shutdown.signum is None and tuner is not None:
        return tuner, None
    interrupted = shutdown.interrupted(f"the trials so far are kept: {again_with('resume')}")
    if tuner is None:
        raise interrupted
    return tuner, interrupted


@asynccontextmanager
async def _studies(
    store: Store, source: Source, question: Question, plan: Plan
) -> AsyncIterator[tuple[BaseStorage, Callable[[int], str]]]:
    """The storage of studies on the store's server, and the names of this run's studies; it is closed in the end."""
    from ..study.storage import StudyStorage

    storage = await run_sync(partial(StudyStorage, settings=store.settings))
    try:
        what = {
            "source": await run_sync(source.fingerprint),
            "options": dict(question.options),
            "shape": list(source.grid.shape),
        }
        names = partial(study_names, storage, plan, what, resume=question.resume)
        yield storage, await run_sync(names)
    finally:
        with anyio.CancelScope(shield=True):
            await run_sync(storage.close)
