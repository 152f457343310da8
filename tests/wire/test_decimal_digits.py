"""Decimal digits of consecutive numbers against Python's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.wire.decimal_digits import digit_spans, digits


@given(st.integers(0, 10**18) | st.sampled_from([0, 9, 99, 9_990, 99_999, 99_999_990]), st.integers(1, 300))
def test_digits_are_those_that_python_writes(start: int, count: int) -> None:
    found = [row.tobytes() for span in digit_spans(start, start + count) for row in digits(*span)]
    assert found == [b"%d" % number for number in range(start, start + count)]


def test_numbers_of_different_lengths_are_refused() -> None:
    with pytest.raises(AssertionError, match="two of the numbers 9 … 10"):
        digits(9, 11)
