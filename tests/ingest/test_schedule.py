"""The order in which chunks are read: each once, in turns, and none of a lane that would have to wait."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qwf_async.client.slots import SlotTable, slots_of_groups
from qwf_async.ingesting.schedule import BLOCK, Schedule

BASE = b"qwf:psi:{0123456789abcdef."


@dataclass(slots=True)
class States:
    """Lanes as a test would have them: `owners` holds the lane of each chunk."""

    owners: NDArray[np.intp]
    put_off: Mapping[int, bool] = field(default_factory=dict)
    full: set[int] = field(default_factory=set)

    def lanes_of(self, numbers: NDArray[np.int64]) -> NDArray[np.intp]:
        return self.owners[numbers]

    def schedule(self) -> Schedule:
        return Schedule(np.arange(len(self.owners)), self, lambda lane: lane in self.full)


def of_slots(chunks: int, nodes: int) -> NDArray[np.intp]:
    """The nodes of chunks, by the slots of their keys."""
    return SlotTable.even(nodes).owners[slots_of_groups(BASE, np.arange(chunks))].astype(np.intp)


def test_one_lane_has_its_chunks_in_the_order_of_the_source() -> None:
    assert list(States(np.zeros(1000, np.intp)).schedule()) == list(range(1000))


@pytest.mark.parametrize("nodes", [2, 3, 10, 48])
def test_lanes_take_turns_nearly_in_the_order_of_the_source(nodes: int) -> None:
    chunks = 400 * nodes
    states = States(of_slots(chunks, nodes))
    dealt = np.array([number for number in states.schedule() if number is not None])
    assert sorted(dealt) == list(range(chunks))
    assert np.abs(dealt - np.arange(chunks)).max() <= 2 * BLOCK * nodes
    runs = states.owners[dealt[: chunks // 2 // nodes * nodes]].reshape(-1, nodes)
    busy = np.mean([len(set(run)) for run in runs.tolist()]) / nodes
    assert busy > 0.9  # of consecutive numbers, 0.45 to 0.65


@given(
    nodes=st.integers(1, 6),
    chunks=st.integers(0, 400),
    seed=st.integers(0, 2**32),
    move=st.booleans(),
)
def test_each_chunk_is_dealt_once_and_none_of_a_lane_that_waits(
    nodes: int, chunks: int, seed: int, move: bool
) -> None:
    chance = random.Random(seed)
    states = States(np.array([chance.randrange(nodes) for _ in range(chunks)], dtype=np.intp))
    schedule, left = states.schedule(), set(range(chunks))
    last: Counter[int] = Counter()
    for _ in range(20 * chunks + 20):
        if chance.random() < 0.1:
            lanes = range(nodes)
            states.put_off = {lane: chance.random() < 0.5 for lane in lanes if chance.random() < 0.4}
            states.full = {lane for lane in lanes if chance.random() < 0.3}
        if move and chance.random() < 0.02:
            states.owners = np.array([chance.randrange(nodes) for _ in range(chunks)], dtype=np.intp)
            last.clear()
        waiting = {int(states.owners[number]) for number in left}
        free = waiting - states.put_off.keys()
        spooling = {lane for lane in waiting if states.put_off.get(lane)}
        wanted = (free or spooling) - states.full
        number = next(schedule, -1)
        if number == -1:
            assert not left
            break
        if number is None:
            assert left
            lanes_left = [int(states.owners[number]) for number in sorted(left)]
            near = [lane for lane in lanes_left if lane in free][:BLOCK] or spooling
            assert not wanted & set(near)
            continue
        left.remove(number)
        lane = int(states.owners[number])
        assert lane in wanted
        assert number >= last[lane]  # the numbers of a lane grow
        last[lane] = number
    states.put_off, states.full = {}, set()
    assert sorted(number for number in schedule if number is not None) == sorted(left)


def test_what_was_put_off_does_not_hold_the_others_up_when_its_lane_is_back() -> None:
    states = States(np.arange(30_000) % 3)
    schedule = states.schedule()
    states.put_off = {0: False}
    for _ in range(10_000):
        number = next(schedule)
        assert number is not None
        assert number % 3
    states.put_off = {}
    dealt = Counter(int(states.owners[next(schedule)]) for _ in range(3000))
    assert set(dealt.values()) == {1000}


def test_a_lane_put_off_at_the_end_is_waited_for_unless_it_spools() -> None:
    states = States(np.arange(300) % 3)
    schedule = states.schedule()
    states.put_off = {0: False}
    assert {next(schedule) for _ in range(200)} == {number for number in range(300) if number % 3}
    assert next(schedule) is None
    states.put_off = {0: True}
    assert next(schedule) == 0
    states.put_off = {}
    assert list(schedule) == list(range(3, 300, 3))


def test_chunks_go_to_the_lane_that_has_them_when_they_are_dealt() -> None:
    states = States(np.arange(300) % 3)
    schedule = states.schedule()
    states.put_off = {0: False}
    for _ in range(200):
        next(schedule)
    states.owners = np.where(states.owners == 0, 3, states.owners)  # node 0 died, and another has its slots
    assert list(schedule) == list(range(0, 300, 3))
