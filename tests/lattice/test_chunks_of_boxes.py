"""Which chunks a box touches, which chunk holds each of many points, and how large chunks are: against plain loops."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.lattice.grid import Box, Order, shape4
from qwf_async.lattice.plan import BoxPlan, Plan, RangePlan, points_of

sizes = st.integers(1, 6)
shapes = st.tuples(sizes, sizes, sizes, sizes)
orders: st.SearchStrategy[Order] = st.sampled_from(["C", "F"])


@st.composite
def box_plans(draw: st.DrawFn) -> BoxPlan:
    shape = draw(shapes)
    chunk = shape4(draw(st.integers(1, size)) for size in shape)
    return BoxPlan(shape=shape, chunk=chunk, order=draw(orders))


@st.composite
def range_plans(draw: st.DrawFn) -> RangePlan:
    shape = draw(shapes)
    return RangePlan(shape=shape, length=draw(st.integers(1, math.prod(shape) + 3)))


plans: st.SearchStrategy[Plan] = box_plans() | range_plans()


@st.composite
def plans_and_boxes(draw: st.DrawFn) -> tuple[Plan, Box]:
    plan = draw(plans)
    start = shape4(draw(st.integers(0, size - 1)) for size in plan.shape)
    ends = zip(start, plan.shape, strict=True)
    return plan, Box(start=start, stop=shape4(draw(st.integers(first + 1, size)) for first, size in ends))


def numbers_of(plan: Plan) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The number of the chunk of each point, from the boxes of all chunks."""
    numbers = np.full(plan.shape, -1, np.int64)
    for chunk in plan:
        for box in chunk.boxes:
            numbers[box.slices] = chunk.number
    return numbers


@given(plans_and_boxes())
def test_a_box_touches_the_chunks_of_its_points_and_each_point_is_in_one_part(
    drawn: tuple[Plan, Box],
) -> None:
    plan, box = drawn
    numbers, found = numbers_of(plan), np.full(plan.shape, -1, np.int64)
    touched = list(plan.touched(box))
    assert len({number for number, _ in touched}) == len(touched)
    assert plan.touched_count(box) >= len(touched)
    assert isinstance(plan, RangePlan) or plan.touched_count(box) == len(touched)
    for number, parts in touched:
        assert parts
        for part in parts:
            assert (found[part.slices] == -1).all()
            found[part.slices] = number
    wanted = np.full(plan.shape, -1, np.int64)
    wanted[box.slices] = numbers[box.slices]
    assert np.array_equal(found, wanted)


@given(plans_and_boxes())
def test_the_parts_of_a_touched_chunk_lie_in_the_order_of_its_values(drawn: tuple[Plan, Box]) -> None:
    """So the values of the parts, one after the other, are those of the chunk that the box has."""
    plan, box = drawn
    places = np.arange(math.prod(plan.shape)).reshape(plan.shape)
    inside = np.zeros(plan.shape, bool)
    inside[box.slices] = True
    for number, parts in plan.touched(box):
        held = np.concatenate([places[one.slices].reshape(-1) for one in plan[number].boxes])
        found = np.concatenate([places[part.slices].reshape(-1) for part in parts])
        assert found.tolist() == [place for place in held.tolist() if inside.reshape(-1)[place]]


@given(plans_and_boxes())
def test_the_chunks_that_a_box_touches_come_in_the_order_of_their_first_points(
    drawn: tuple[Plan, Box],
) -> None:
    plan, box = drawn
    starts = [parts[0].start for _, parts in plan.touched(box)]
    assert starts == sorted(starts)


@given(box_plans(), st.data())
def test_the_chunks_of_many_points_are_those_of_each(plan: BoxPlan, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(st.tuples(*(st.integers(0, size - 1) for size in plan.shape)), max_size=30))
    points = np.array(drawn, np.int64).reshape(-1, 4)
    numbers = plan.holding_each(points)
    assert numbers.dtype == np.int64
    assert numbers.tolist() == [plan.holding(shape4(point)) for point in points.tolist()]


@given(box_plans())
def test_the_sizes_of_the_chunks_are_counted_without_a_look_at_each(plan: BoxPlan) -> None:
    wanted = Counter(chunk.points for chunk in plan)
    assert {points: count for points, count in plan.sizes.items() if count} == wanted


def test_the_sizes_of_the_chunks_of_a_huge_grid_are_counted_at_once() -> None:
    plan = BoxPlan(shape=(10**4, 10**4, 10**4, 10**4), chunk=(7, 16, 1, 9))
    assert sum(plan.sizes.values()) == len(plan)
    assert sum(points * count for points, count in plan.sizes.items()) == 10**16
    assert (
        len([count for count in plan.sizes.values() if count]) == 2**2
    )  # 16 and 1 divide the size of their axes


@given(plans_and_boxes())
def test_the_points_of_a_box_come_in_c_order(drawn: tuple[Plan, Box]) -> None:
    _, box = drawn
    ranges = map(range, box.start, box.stop)
    assert points_of(box).tolist() == [list(point) for point in product(*ranges)]
