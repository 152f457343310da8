"""Numbers as people read them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.human import age, count, counted, duration, share, size


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (999.6, "1.0 kB"), (1234, "1.2 kB"), (99_960, "100 kB"),
     (4.2e8, "420 MB"), (999.6e6, "1.0 GB"), (1_900_000_000, "1.9 GB"), (2.5e21, "2,500 EB")],
)  # fmt: skip
def test_sizes_are_in_powers_of_1000_and_at_most_three_digits(nbytes: float, text: str) -> None:
    assert size(nbytes) == text


@pytest.mark.parametrize(
    ("part", "text"), [(0, "0 %"), (1e-9, "<1 %"), (0.43, "43 %"), (0.9999, ">99 %"), (1, "100 %"), (1.2, "120 %")]
)  # fmt: skip
def test_a_share_is_0_or_100_per_cent_only_if_it_is_that(part: float, text: str) -> None:
    assert share(part) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (12_345, "12,345"), (999_999, "999,999"), (999_999.7, "1 million"), (12_345_678, "12.3 million"),
     (999_600_000, "1 billion"), (2.5e9, "2.5 billion"), (1e13, "10 trillion"), (1.5e15, "1,500 trillion")],
)  # fmt: skip
def test_counts_have_separators_below_a_million_and_three_digits_above(number: float, text: str) -> None:
    assert count(number) == text


def test_what_is_counted_has_its_plural() -> None:
    assert [counted(1, "key"), counted(0, "key"), counted(12_345, "point")] == [
        "1 key",
        "0 keys",
        "12,345 points",
    ]
    assert counted(2, "entry", "entries") == "2 entries"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (0.035, "35 ms"), (2.44, "2.4 s"), (45, "45 s"), (59.7, "1 min"), (125, "2 min 5 s"),
     (3599.8, "1 h"), (11_520, "3 h 12 min"), (86_399, "1 d"), (187_200, "2 d 4 h"), (float("inf"), "unknown")],
)  # fmt: skip
def test_durations_have_their_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "just now"), (-0.4, "just now"), (59.9, "59 s ago"), (7199, "1 h ago"), (10_800, "3 h ago"),
     (86_400, "1 day ago"), (1e7, "115 days ago"), (8e7, "2 years ago"), (-10_800, "in 3 h")],
)  # fmt: skip
def test_ages_are_rounded_down_to_one_unit(seconds: float, text: str) -> None:
    assert age(seconds) == text


@given(st.floats(0, 1e15))
def test_every_text_is_short_and_has_no_more_than_three_digits_before_its_unit(number: float) -> None:
    assert re.fullmatch(r"\d{1,3}(\.\d)? \w+", size(number))
    assert len(count(number)) <= 14
    assert re.fullmatch(r"[\d,]+(\.\d)? (ms|s|min|h|d)( \d{1,2} (s|min|h))?", duration(number))
