"""The chunks of a box, and its part whose chunks are held: against a plain look at each point."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.lattice.grid import Box, Shape4, shape4
from qwf_async.lattice.held import chunks_of, held_boxes
from qwf_async.lattice.plan import BoxPlan, Plan, RangePlan, points_of


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    shape = shape4(draw(st.integers(1, most)) for most in (3, 6, 5, 7))
    if draw(st.booleans()):
        return RangePlan(shape=shape, length=draw(st.integers(1, 60)))
    chunk = shape4(draw(st.integers(1, size)) for size in shape)
    return BoxPlan(shape=shape, chunk=chunk, order=draw(st.sampled_from(("C", "F"))))


def box_in(shape: Shape4, data: st.DataObject) -> Box:
    start = shape4(data.draw(st.integers(0, size - 1)) for size in shape)
    return Box(
        start=start,
        stop=shape4(data.draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True)),
    )


@given(plan=plans(), data=st.data())
def test_held_part_is_that_of_the_points_whose_chunks_are_held(plan: Plan, data: st.DataObject) -> None:
    box = box_in(plan.shape, data)
    held = np.array(data.draw(st.lists(st.booleans(), min_size=len(plan), max_size=len(plan))))
    points = [shape4(map(int, point)) for point in points_of(box)]
    assert sorted(chunks_of(plan, box).tolist()) == sorted({plan.holding(point) for point in points})
    counts = np.zeros(plan.shape, int)
    for part in held_boxes(plan, box, held):
        counts[part.slices] += 1
    wanted = np.zeros(plan.shape, int)
    for point in points:
        wanted[point] = held[plan.holding(point)]
    assert np.array_equal(counts, wanted)


def test_chunks_that_came_in_order_give_few_boxes() -> None:
    for plan in (
        BoxPlan.cut((1, 128, 128, 128), points=1024),
        RangePlan.cut((1, 128, 128, 128), points=1024),
    ):
        held = np.arange(len(plan)) < 1111
        plane = Box(start=(0, 0, 0, 7), stop=(1, 128, 128, 8))
        assert len(list(held_boxes(plan, plane, held))) <= 16
