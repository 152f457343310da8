"""Which numbers trials get when they stand elsewhere in the log than where they were shown."""

from __future__ import annotations

import random

import pytest

from qwf_async.study.settling import settled_numbers


def test_who_has_the_number_that_was_shown_needs_nothing() -> None:
    assert settled_numbers({1: 10, 2: 11}, {1: 10, 2: 11}) == []


def test_two_that_changed_places_change_back() -> None:
    assert sorted(settled_numbers({1: 10, 2: 11}, {1: 11, 2: 10})) == [(1, 10, None), (2, 11, None)]


def test_who_cannot_have_it_is_told_which_it_was() -> None:
    assert settled_numbers({1: 10}, {1: 12}) == [(1, 12, 10)]
    assert sorted(settled_numbers({1: 10, 2: 12}, {1: 12, 2: 13})) == [(1, 13, 10), (2, 12, None)]


@pytest.mark.parametrize("seed", range(20))
def test_the_same_numbers_are_left_among_them(seed: int) -> None:
    chance = random.Random(seed)
    wanted = dict(enumerate(chance.sample(range(30), 12)))
    present = dict(enumerate(chance.sample(range(30), 12)))
    said = {trial: (number, asked_as) for trial, number, asked_as in settled_numbers(wanted, present)}
    final = {trial: said.get(trial, (number, None))[0] for trial, number in present.items()}
    assert sorted(final.values()) == sorted(present.values())
    for trial, number in final.items():
        if number != wanted[trial]:
            assert said[trial] == (number, wanted[trial])
        assert number == wanted[trial] or wanted[trial] not in present.values()
