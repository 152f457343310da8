"""Grids, boxes and chunk plans, compared with arrays that count points."""

from __future__ import annotations

import json
import math
import tracemalloc
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import AXIS_NAMES, UNKNOWN_AXIS, Axis, Box, Grid, Order, Shape4
from qwf_async.lattice.plan import CHUNK_POINTS, BoxPlan, plan_from_json

sizes = st.integers(1, 7)
shapes = st.tuples(sizes, sizes, sizes, sizes)
orders: st.SearchStrategy[Order] = st.sampled_from(["C", "F"])
UNIT = Axis(step=1.0)


@st.composite
def plans(draw: st.DrawFn) -> BoxPlan:
    shape = draw(shapes)
    t, x, y, z = (draw(st.integers(1, size)) for size in shape)
    return BoxPlan(shape=shape, chunk=(t, x, y, z), order=draw(orders))


def numbers_of(plan: BoxPlan) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The number of the chunk of each point. It fails if a point is in no chunk or in two."""
    numbers = np.full(plan.shape, -1, np.int64)
    for chunk in plan:
        assert (numbers[chunk.box.slices] == -1).all()
        numbers[chunk.box.slices] = chunk.number
    assert (numbers >= 0).all()
    return numbers


@given(plans())
def test_the_boxes_of_a_plan_hold_every_point_exactly_once(plan: BoxPlan) -> None:
    assert sorted(set(numbers_of(plan).reshape(-1).tolist())) == list(range(len(plan)))
    assert sum(chunk.box.points for chunk in plan) == math.prod(plan.shape)


@given(plans())
def test_holding_finds_the_chunk_of_every_point(plan: BoxPlan) -> None:
    numbers = numbers_of(plan)
    for t, x, y, z in np.ndindex(plan.shape):
        assert plan.holding((t, x, y, z)) == numbers[t, x, y, z]


@given(plans())
def test_only_the_last_boxes_of_an_axis_are_smaller(plan: BoxPlan) -> None:
    for chunk in plan:
        for start, stop, piece, size in zip(
            chunk.box.start, chunk.box.stop, plan.chunk, plan.shape, strict=True
        ):
            assert stop - start == piece or stop == size


@given(plans())
def test_chunks_are_numbered_in_the_order_of_the_plan(plan: BoxPlan) -> None:
    starts = [chunk.box.start if plan.order == "C" else chunk.box.start[::-1] for chunk in plan]
    assert starts == sorted(starts)
    assert [chunk.number for chunk in plan] == list(range(len(plan)))
    assert [plan[number] for number in range(len(plan))] == list(plan)


@given(shapes, orders, st.integers(1, 3000))
def test_a_cut_is_whole_along_the_fast_axes_and_no_larger_than_asked(
    shape: Shape4, order: Order, points: int
) -> None:
    plan = BoxPlan.cut(shape, order=order, points=points)
    assert math.prod(plan.chunk) <= points
    pairs = list(zip(plan.chunk, shape, strict=True))
    if order == "C":
        pairs.reverse()
    first_cut = next((i for i, (piece, size) in enumerate(pairs) if piece < size), 4)
    assert all(piece == 1 for piece, _ in pairs[first_cut + 1 :])
    numbers_of(plan)


@given(plans())
def test_a_plan_comes_back_from_json(plan: BoxPlan) -> None:
    value = json.loads(json.dumps(plan.to_json()))
    assert plan_from_json(plan.shape, value) == plan
    assert value["count"] == len(plan)


@pytest.mark.parametrize("number", [-1, 8, 10**18])
def test_a_chunk_outside_the_plan_is_an_index_error(number: int) -> None:
    plan = BoxPlan(shape=(2, 2, 2, 2), chunk=(1, 1, 1, 2))
    assert len(plan) == 8
    with pytest.raises(IndexError):
        plan[number]


@pytest.mark.parametrize("chunk", [(0, 1, 1, 1), (1, 1, 1, 5), (1, 1, -1, 1)])
def test_chunks_that_do_not_fit_the_grid_are_refused(chunk: Shape4) -> None:
    with pytest.raises(InvalidInput, match="do not fit a grid"):
        BoxPlan(shape=(1, 1, 1, 4), chunk=chunk)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"chunk": [1, 1, 1], "order": "C"},
        {"chunk": None, "order": "C"},
        {"chunk": [1, 1, 1, "x"], "order": "C"},
        {"chunk": [1, 1, 1, 1]},
        {"chunk": [1, 1, 1, 9], "order": "C"},
        {"chunk": [1, 1, 1, 1], "order": "K"},
    ],
)
def test_a_malformed_plan_raises_only_what_the_manifest_catches(value: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, InvalidInput)):
        plan_from_json((2, 2, 2, 2), value)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(1, 10_000, 10_000, 10_000), (10**12, 1, 1, 1), (2**40, 2**10, 2**10, 4)])
def test_the_plan_of_a_huge_grid_is_lazy(shape: Shape4, order: Order) -> None:
    tracemalloc.start()
    try:
        plan = BoxPlan.cut(shape, order=order)
        assert len(plan) >= math.prod(shape) // CHUNK_POINTS
        assert [chunk.number for chunk in islice(plan, 3)] == [0, 1, 2]
        last = plan[len(plan) - 1]
        assert last.box.stop == shape
        t, x, y, z = (stop - 1 for stop in last.box.stop)
        assert plan.holding((t, x, y, z)) == len(plan) - 1
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@given(plans(), st.data())
def test_a_box_cuts_itself_out_of_an_array_that_holds_another(plan: BoxPlan, data: st.DataObject) -> None:
    psi = np.arange(math.prod(plan.shape)).reshape(plan.shape)
    outer = plan[data.draw(st.integers(0, len(plan) - 1))].box
    start = tuple(data.draw(st.integers(a, b - 1)) for a, b in zip(outer.start, outer.stop, strict=True))
    stop = tuple(data.draw(st.integers(a + 1, b)) for a, b in zip(start, outer.stop, strict=True))
    inner = Box(start=(start[0], start[1], start[2], start[3]), stop=(stop[0], stop[1], stop[2], stop[3]))
    cut = psi[outer.slices][inner.within(outer)]
    assert np.array_equal(cut, psi[inner.slices])
    assert cut.shape == inner.shape
    assert cut.size == inner.points


def test_a_cube_of_a_given_box_is_centred_and_leaves_its_end_out() -> None:
    grid = Grid.cube(4, box=8.0, frames=3, dt=0.5)
    assert grid.shape == (3, 4, 4, 4)
    for axis in (1, 2, 3):
        assert grid.coordinates(axis, 0, 4).tolist() == [-4.0, -2.0, 0.0, 2.0]
        assert grid.axes[axis] == Axis(origin=-4.0, step=2.0, unit="bohr", periodic=True)
    assert grid.coordinates(0, 0, 3).tolist() == [0.0, 0.5, 1.0]
    assert grid.axes[0].unit == "hbar/Eh"
    assert grid.cell_volume == 8.0
    assert (grid.points, grid.frame_points, grid.dimensions) == (192, 64, 3)
    assert grid.whole == Box(start=(0, 0, 0, 0), stop=(3, 4, 4, 4))


def test_a_box_that_is_not_centred_begins_at_zero() -> None:
    grid = Grid.of((5, 2)).with_box((10.0, 1.0), centred=False)
    assert grid.coordinates(1, 1, 4).tolist() == [2.0, 4.0, 6.0]
    assert grid.coordinates(2, 0, 2).tolist() == [0.0, 0.5]


def test_one_extent_serves_all_dimensions_of_the_grid() -> None:
    assert Grid.of((4, 8), box=(8.0,)) == Grid.of((4, 8), box=(8.0, 8.0))
    assert Grid.of((4, 8), box=(8.0,)).cell_volume == 2.0


def test_axes_of_one_point_have_no_spacing_and_no_part_in_the_volume() -> None:
    grid = Grid.of((4,), box=(2.0,))
    assert grid.shape == (1, 4, 1, 1)
    assert grid.axes[2:] == (UNKNOWN_AXIS, UNKNOWN_AXIS)
    assert grid.cell_volume == 0.5
    assert grid.coordinates(3, 0, 1).tolist() == [0.0]


@pytest.mark.parametrize(
    ("shape", "dimensions"),
    [((9, 1, 1, 1), 1), ((1, 4, 1, 1), 1), ((1, 4, 2, 1), 2), ((1, 1, 1, 3), 3), ((1, 1, 5, 1), 2)],
)
def test_dimensions_count_up_to_the_last_axis_of_more_than_one_point(shape: Shape4, dimensions: int) -> None:
    assert Grid(shape=shape).dimensions == dimensions


def test_an_unknown_spacing_is_not_guessed() -> None:
    grid = Grid.cube(4)
    assert grid.cell_volume is None
    for axis in (1, 2, 3):
        with pytest.raises(InvalidInput, match=f"axis {AXIS_NAMES[axis]} is not known"):
            grid.coordinates(axis, 0, 4)
    with pytest.raises(InvalidInput, match="axis t is not known"):
        Grid.cube(4, box=1.0, frames=2).coordinates(0, 0, 2)
    assert grid.with_time_step(0.25).coordinates(0, 0, 1).tolist() == [0.0]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(0, 50), st.integers(1, 20))
def test_coordinates_are_origin_plus_index_times_step(
    origin: float, step: float, start: int, count: int
) -> None:
    grid = Grid(shape=(1, 1, 100, 1), axes=(UNIT, UNIT, Axis(origin=origin, step=step), UNIT))
    expected = [origin + i * step for i in range(start, start + count)]
    assert grid.coordinates(2, start, start + count).tolist() == expected


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ((4, 0, 0, 0), "x = 4 is outside the grid: x runs from 0 to 3"),
        ((0, 5, 0, 0), "y = 5"),
        (
            (0, 0, -7, 0),
            "z = -7 is outside the grid: z runs from 0 to 5; counted from the end, from -6 to -1",
        ),
        ((0, 0, 0, 2), "t = 2 is outside the grid: t runs from 0 to 1"),
    ],
)
def test_a_point_outside_the_grid_is_named(point: Shape4, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Grid(shape=(2, 4, 5, 6)).index(*point)


def test_a_point_is_named_xyzt_and_indexed_txyz() -> None:
    grid = Grid(shape=(2, 4, 5, 6))
    assert grid.index(3, 4, 5, 1) == (1, 3, 4, 5)
    assert grid.index(2) == (0, 2, 0, 0)
    assert grid.index(-1, -5, -6, -2) == (0, 3, 0, 0)


@pytest.mark.parametrize(
    "shape", [(0, 1, 1, 1), (1, 1, 1, -3), (2**31, 2**31, 2, 1), (10**400, 1, 1, 1), (1, 1, 1), (1,) * 5]
)
def test_an_impossible_shape_is_bad_input(shape: Any) -> None:
    with pytest.raises(InvalidInput):
        Grid(shape=shape)


def test_the_largest_countable_grid_is_accepted() -> None:
    assert Grid(shape=(1, 2**31, 2**31, 1)).points == 2**62


@pytest.mark.parametrize("sizes", [(), (1, 1, 1, 1), (0,), (3, -1)])
def test_spatial_sizes_that_make_no_grid_are_bad_input(sizes: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput):
        Grid.of(sizes)


@pytest.mark.parametrize(
    "box", [(), (1.0, 1.0), (1.0,) * 4, (1.0, 0.0, 1.0), (-1.0,), (math.nan,), (math.inf, 1.0, 1.0)]
)
def test_extents_that_do_not_match_or_are_no_lengths_are_bad_input(box: tuple[float, ...]) -> None:
    with pytest.raises(InvalidInput):
        Grid.of((2, 2, 2), box=box)


@pytest.mark.parametrize("dt", [0.0, -1.0, math.nan, math.inf])
def test_a_time_step_must_be_above_zero(dt: float) -> None:
    with pytest.raises(InvalidInput, match="must be a finite number above 0"):
        Grid.cube(2, frames=2, dt=dt)
    with pytest.raises(InvalidInput):
        Grid.cube(2, frames=2).with_time_step(dt)


@pytest.mark.parametrize("origin", [math.nan, math.inf, -math.inf])
def test_an_axis_begins_at_a_finite_number(origin: float) -> None:
    with pytest.raises(InvalidInput, match="not a finite number"):
        Axis(origin=origin)


finite = st.floats(allow_nan=False, allow_infinity=False)
axes = st.builds(
    Axis,
    origin=finite,
    step=st.none() | st.floats(5e-324, 1.7e308),
    unit=st.none() | st.text(),
    periodic=st.booleans(),
)


@given(shapes, st.tuples(axes, axes, axes, axes))
def test_a_grid_comes_back_from_json_bit_for_bit(shape: Shape4, four: tuple[Axis, Axis, Axis, Axis]) -> None:
    grid = Grid(shape=shape, axes=four)
    assert Grid.from_json(json.loads(json.dumps(grid.to_json()))) == grid
