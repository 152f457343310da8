"""What is chosen of what was measured, and how it is told: pure functions of figures."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.tuning.candidate import Candidate
from qwf_async.tuning.report import conclusion_of, table_of
from qwf_async.tuning.stage import Pairs, Stage, Tried, best_of
from qwf_async.tuning.tuner import Tuner, _scale
from tests.tuning.figures import OTHER, USUAL, measured, pairs_of, staged


@pytest.mark.parametrize(
    ("ratios", "chosen"),
    [
        ([1.1] * 7, OTHER),
        ([1.1, 0.9, 1.2, 0.8, 1.1, 1.0, 1.05], USUAL),  # the interval holds 0
        ([0.9] * 7, USUAL),
        ([1.5] * 5, USUAL),  # too few to be sure
    ],
)
def test_a_candidate_is_chosen_only_if_its_gain_is_sure(ratios: list[float], chosen: Candidate) -> None:
    assert staged(USUAL, OTHER, ratios).chosen == chosen


def test_what_makes_others_wait_or_takes_more_memory_is_not_chosen() -> None:
    slow, large, fit = (
        Tried(number=0, candidate=OTHER, pairs=pairs_of([2.0] * 3, p99=5.0)),
        Tried(number=1, candidate=OTHER, pairs=pairs_of([1.9] * 3, size=90.0)),
        Tried(number=2, candidate=OTHER, pairs=pairs_of([1.1] * 3)),
    )
    same = Tried(number=3, candidate=USUAL, pairs=pairs_of([3.0] * 3))
    assert best_of([slow, large, fit, same], USUAL, None) == fit
    assert best_of([slow, fit], USUAL, 6.0) == slow
    assert best_of([slow, fit], USUAL, 0.5) is None


def test_where_the_defaults_make_others_wait_slower_settings_are_chosen() -> None:
    pairs = Pairs(ours=(measured(90, p99=1.0),) * 7, usual=(measured(100, p99=9.0),) * 7)
    stage = Stage(jobs=1, study="s", usual=USUAL, max_p99=2.0, best=OTHER, pairs=pairs, confirmed=True)
    assert stage.chosen == OTHER
    assert stage.is_within


def test_a_study_gives_back_the_pairs_that_it_was_given() -> None:
    pairs = pairs_of([1.0, 2.0])
    assert Pairs.from_json(pairs.to_json()) == pairs


def test_the_table_says_what_was_tried_and_what_came_of_it() -> None:
    tried = [Tried(number=n, candidate=OTHER, pairs=pairs_of([1 + n / 10] * 3)) for n in range(7)]
    tried.append(Tried(number=7, candidate=OTHER, pairs=pairs_of([9.0] * 3, p99=50.0)))
    stage = staged(USUAL, OTHER, [1.2] * 7, tried=tried, pruned=2, failed=1)
    head, columns, first, *others, figures, verdict = table_of(stage)
    assert head == "2 jobs at once: 8 trials, 2 ended early, 1 failed"
    assert columns.split() == ["points/s", "×", "defaults", "p99", "ms", "bytes/point", "settings"]
    assert first.split()[:4] == ["900", "9.00", "50.0", "80.0"]
    assert first.endswith(
        "writers 1, producers 1, stream 2 MiB  (others wait too long, or it takes more memory)"
    )
    assert [row.split()[1] for row in others] == ["1.60", "1.50", "1.40", "1.30"]
    assert figures == (
        "  9 points a job, 7 pairs: the defaults 100 points/s (p99 1.0 ms); writers 1, producers 1, stream 2 MiB "
        "120 points/s (p99 1.0 ms): +20.0 % (95 %: +20.0 % to +20.0 %)"
    )
    assert verdict == "  use writers 1, producers 1, stream 2 MiB"


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ([1.1, 0.9, 1.2, 0.8, 1.1, 1.0, 1.05], "the interval holds 0"),
        ([0.9] * 7, "they are faster"),
        ([1.5] * 5, "there are too few pairs to be sure of more"),
    ],
)
def test_where_nothing_is_sure_the_defaults_are_fine(ratios: list[float], verdict: str) -> None:
    *_, last = table_of(staged(USUAL, OTHER, ratios))
    assert last == f"  the defaults are fine: {verdict}"


def stages_of(*rates: float | None) -> Tuner:
    """A tuner that has measured 1, 2, 3, … jobs at these rates; None is an error."""
    tuner = Tuner.__new__(Tuner)
    tuner.stages = [
        Stage(jobs=n, study="s", usual=USUAL, max_p99=None, error="no room")
        if rate is None
        else Stage(
            jobs=n,
            study="s",
            usual=USUAL,
            max_p99=None,
            pairs=Pairs(ours=(measured(rate),), usual=(measured(rate),)),
            confirmed=True,
        )
        for n, rate in enumerate(rates, 1)
    ]
    return tuner


@pytest.mark.parametrize(
    ("rates", "jobs", "over", "words"),
    [
        ((100,), 1, False, "1 job: 100 points/s; more were not tried"),
        ((100, 150), 2, False, "2 jobs at once: 150 points/s; more were not tried"),
        ((100, 150, 152), 2, True, "2 jobs at once: 150 points/s; 3 add +1.3 %"),
        ((100, None), 1, True, "1 job: 100 points/s; 2 met an error"),
    ],
)
def test_the_conclusion_is_the_last_stage_that_was_worth_it(
    rates: tuple[float | None, ...], jobs: int, over: bool, words: str
) -> None:
    tuner = stages_of(*rates)
    assert tuner.knee is not None
    assert (tuner.knee.jobs, tuner.is_over, conclusion_of(tuner)) == (jobs, over, words)


def test_a_stage_that_had_less_time_is_told_apart() -> None:
    tuner = stages_of(100, 101)
    tuner.stages = [replace(tuner.stages[0], points=1000), replace(tuner.stages[1], points=900)]
    assert conclusion_of(tuner).endswith(
        "2 add +1.0 %, on 900 points a job instead of 1,000: more time makes that surer"
    )


@given(st.floats(1e-3, 1e3), st.floats(0, 10), st.floats(1, 1e4))
def test_a_run_takes_no_more_than_its_share_of_the_time(first: float, beside: float, seconds: float) -> None:
    scale = _scale(first, beside, seconds)
    assert 1 / 8 <= scale <= 8
    if scale > 1 / 8:
        assert first * scale + beside <= seconds / 30 + 1e-6
    if 1 / 8 < scale < 8 and first * scale + beside < seconds / 30 - 1e-6:
        assert first * scale == pytest.approx(max(0.5, first))


def test_where_one_job_makes_others_wait_that_is_said() -> None:
    tuner = stages_of(100)
    tuner.stages = [staged(USUAL, OTHER, [1.0] * 7, max_p99=0.5)]
    assert median(one.p99 for one in tuner.stages[0].pairs.usual) > 0.5
    assert tuner.is_over
    *_, last = table_of(replace(tuner.stages[0], best=None))
    assert last == "  nothing that was tried keeps another client's p99 within 0.5 ms"
    assert conclusion_of(tuner) == "already with 2 jobs at once another client's p99 is above 0.5 ms"
