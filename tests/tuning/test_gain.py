"""The gain from pairs, its interval, and the knee: pure functions of numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.tuning.gain import LEAST_PAIRS, Pair, adds, gain_of, knee_of

RATES = st.floats(1e3, 1e9)
PAIRS = st.lists(st.tuples(RATES, RATES), min_size=LEAST_PAIRS, max_size=12)


@given(PAIRS)
def test_the_interval_holds_its_middle_and_turns_round_with_the_pairs(pairs: list[Pair]) -> None:
    gain, other = gain_of(pairs), gain_of([(b, a) for a, b in pairs])
    assert gain.low is not None
    assert gain.high is not None
    assert other.low is not None
    assert gain.low <= gain.middle <= gain.high
    assert math.isclose((1 + gain.high) * (1 + other.low), 1, rel_tol=1e-9)
    assert math.isclose((1 + gain.middle) * (1 + other.middle), 1, rel_tol=1e-9)


@given(st.lists(st.floats(-2, 2), min_size=LEAST_PAIRS, max_size=12, unique_by=lambda x: round(abs(x), 6)))
def test_a_gain_is_sure_if_and_only_if_the_signed_rank_test_says_so(logs: list[float]) -> None:
    if min(map(abs, logs)) < 1e-6:
        return
    gain = gain_of([(math.exp(log), 1.0) for log in logs])
    p = scipy.stats.wilcoxon(logs, method="exact").pvalue
    assert gain.is_sure == (p <= 0.05 and np.median(np.add.outer(logs, logs)) > 0)


@given(PAIRS, st.floats(0.01, 100))
def test_a_machine_of_another_speed_has_the_same_gain(pairs: list[Pair], factor: float) -> None:
    gain, other = gain_of(pairs), gain_of([(factor * a, factor * b) for a, b in pairs])
    assert other.middle == pytest.approx(gain.middle, rel=1e-9, abs=1e-9)
    assert other.low == pytest.approx(gain.low, rel=1e-9, abs=1e-9)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(7)
    held = 0
    for _ in range(2000):
        noise = random.standard_t(2, size=7)  # with outliers
        gain = gain_of([(1.1 * math.exp(0.1 * x), 1.0) for x in noise])
        assert gain.low is not None
        assert gain.high is not None
        held += gain.low <= 0.1 <= gain.high
    assert 0.94 < held / 2000 < 0.975  # with 7 pairs it is 95.3 %


def test_too_few_pairs_have_no_interval() -> None:
    gain = gain_of([(1.2, 1.0)] * (LEAST_PAIRS - 1))
    assert gain.middle == pytest.approx(0.2)
    assert (gain.low, gain.high, gain.is_sure) == (None, None, False)
    assert gain_of([]).middle == 0


@given(st.lists(RATES, min_size=1, max_size=6))
def test_every_stage_up_to_the_knee_was_worth_it_and_the_next_one_was_not(rates: list[float]) -> None:
    knee = knee_of(rates)
    assert all(adds(rates[n], rates[n + 1]) for n in range(knee))
    assert knee == len(rates) - 1 or not adds(rates[knee], rates[knee + 1])


def test_five_percent_are_worth_it() -> None:
    assert knee_of([100, 105, 110]) == 1
    assert knee_of([100, 104, 200]) == 0
