"""A tuner on real servers, with two jobs on a tiny grid: what it leaves behind, resumes and refuses."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

import qwf_async as qwf
from qwf_async.errors import DamagedData, OutOfMemory
from qwf_async.source import open_source
from qwf_async.study.storage import StudyStorage
from qwf_async.tuning.scratch import scratch_name
from qwf_async.tuning.stage import Stage
from qwf_async.tuning.tuner import Tuner
from qwf_async.tuning.tuning import Question, tune
from tests.conftest import Server
from tests.support.loads import ask
from tests.support.loops import ON_ASYNCIO

pytestmark = [pytest.mark.anyio, ON_ASYNCIO]

TEXT = "gaussian:k=2,sigma=1"
QUESTION = Question(source=TEXT, options={"grid": "16x16x4"}, jobs=(1, 2), trials=2, seconds=60)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few pairs as there can be, and no lines of Optuna."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    monkeypatch.setattr("qwf_async.tuning.gain.KNEE", -1.0)  # no stage is too slow: the next one is tried
    monkeypatch.setattr("qwf_async.tuning.search.ROUNDS", 2)
    monkeypatch.setattr("qwf_async.tuning.tuner.ROUNDS", 1)
    monkeypatch.setattr("qwf_async.tuning.tuner.CONFIRMING_PAIRS", 2)


async def tuned(server: Server, question: Question = QUESTION, **options: Any) -> Tuner:
    source = open_source(question.source, **question.options)
    async with qwf.connect(server.url) as store:
        tuner, interrupted = await tune(store, source, question, **options)
    assert interrupted is None
    return tuner


def keys(server: Server) -> set[str]:
    """The keys on a server, but for those of studies."""
    with server.plain as client:
        return {key.decode() for key in client.scan_iter("*") if b":study:" not in key}


def name_of_a_dead_tuner() -> str:
    """The scratch name that a process made which is gone."""
    return subprocess.run(
        [sys.executable, "-c", "from qwf_async.tuning.scratch import scratch_name; print(scratch_name(3))"],
        capture_output=True,
        check=True,
        text=True,
        cwd=Path(qwf.__file__).parents[1],
    ).stdout.strip()


async def test_stages_are_measured_confirmed_and_kept_as_studies(each_server: Server) -> None:
    lines: list[str] = []
    shown: list[Stage] = []
    tuner = await tuned(each_server, tell=lines.append, finished=shown.append)
    assert shown == tuner.stages
    assert [stage.jobs for stage in tuner.stages] == [1, 2]
    for stage in tuner.stages:
        assert stage.confirmed
        assert stage.error is None
        assert stage.points == 16 * 16 * 4
        assert len(stage.tried) + stage.pruned + stage.failed == 2
        assert stage.tried[0].candidate == stage.usual
        assert stage.rate > 0
        for one in (*stage.pairs.ours, *stage.pairs.usual):
            assert min(one.rate, one.p99, one.seconds, one.bytes_per_point or 0) > 0
    assert tuner.knee == tuner.stages[1]
    assert keys(each_server) == set(), "scratch names are removed"
    assert sum("trial" in line for line in lines) == 4
    storage = StudyStorage(each_server.url)
    try:
        study = optuna.load_study(study_name=tuner.stages[1].study, storage=storage)
        assert [trial.state.is_finished() for trial in study.trials] == [True, True]
        assert study.trials[0].value == 1.0
    finally:
        storage.close()


async def test_resume_measures_no_stage_again_that_is_done(server: Server) -> None:
    question = replace(QUESTION, jobs=(1,), trials=1)
    first = await tuned(server, question)
    lines: list[str] = []
    again = await tuned(server, replace(question, resume=True), tell=lines.append)
    assert again.stages == first.stages
    assert lines == []


async def test_what_a_dead_tuner_left_is_removed_and_nothing_else(server: Server) -> None:
    dead = name_of_a_dead_tuner()
    living, elsewhere = scratch_name(1), re.sub("-[0-9a-f]{16}-", f"-{'0' * 16}-", dead)
    source = open_source(TEXT, grid="8")
    async with qwf.connect(server.url) as store:
        for name in (dead, living, elsewhere, "tune-up"):
            await qwf.ingest(source, store, name)
        lines: list[str] = []
        await tune(store, source, replace(QUESTION, jobs=(1,), trials=1), tell=lines.append)
        assert [entry.name for entry in await store.entries()] == sorted([living, elsewhere, "tune-up"])
    assert lines[0] == "removed what a tuner left that has died: 1 scratch names"


async def test_jobs_that_do_not_fit_at_once_are_refused_before_anything_is_written(
    own_server: Server,
) -> None:
    ask(own_server, "CONFIG", "SET", "maxmemory", "20mb")
    question = replace(QUESTION, options={"grid": "32"}, jobs=(1, 10))
    with pytest.raises(OutOfMemory, match=r"10 jobs of 32,768 points .* 3 fit: jobs=3 at most|\d fit"):
        await tuned(own_server, question)
    assert ask(own_server, "DBSIZE") == 0


async def test_the_error_of_the_first_run_is_raised(server: Server) -> None:
    ask(server, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(OutOfMemory, match="allkeys-lru"):
            await tuned(server)
    finally:
        ask(server, "CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert keys(server) == set()


async def test_a_stage_that_meets_an_error_ends_the_tuner_with_those_before(own_server: Server) -> None:
    def fill(stage: Stage) -> None:
        """From now on there is room for what a study writes, and none below the watermark for a load."""
        used = ask(own_server, "INFO", "memory")["used_memory"]
        ask(own_server, "CONFIG", "SET", "maxmemory", int(1.12 * used))

    tuner = await tuned(own_server, replace(QUESTION, trials=1), finished=fill)
    first, last = tuner.stages
    assert (first.confirmed, last.confirmed) == (True, False)
    assert last.error is not None
    assert "below the watermark" in last.error
    assert tuner.knee == first
    assert keys(own_server) == set()


async def test_the_rate_of_all_jobs_together_is_capped(server: Server) -> None:
    source = open_source(TEXT, grid="32x32x16")
    async with qwf.connect(settings=qwf.Settings(url=server.url, max_rate=200_000.0)) as store:
        tuner, _ = await tune(
            store, source, replace(QUESTION, options={"grid": "32x32x16"}, jobs=(1,), trials=1)
        )
    (stage,) = tuner.stages
    assert 0 < stage.rate < 300_000
    assert stage.chosen == stage.usual


async def test_values_that_are_stored_wrong_are_noticed(server: Server) -> None:
    question = replace(QUESTION, source="tests.tuning.fickle:psi", options={"grid": "8", "box": "1"})
    with pytest.raises(DamagedData, match="reads other values than were stored"):
        await tuned(server, question)
    assert keys(server) == set()
