"""Selections, compared with NumPy itself, and the cost of reading them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Shape4, shape4
from qwf_async.lattice.plan import BoxPlan
from qwf_async.lattice.selection import Selection

shapes = st.tuples(*[st.integers(1, 12)] * 4)
grains = st.tuples(st.just(1), *[st.integers(1, 5)] * 3)
bounds = st.none() | st.integers(-15, 15)
steps = st.none() | st.integers(-7, 7).filter(bool)


@st.composite
def indices(draw: st.DrawFn, shape: Shape4) -> Any:
    """Anything that NumPy's basic indexing takes for an array of this shape."""
    axes = draw(st.integers(0, 4))
    places = sorted(draw(st.sets(st.integers(0, 3), min_size=axes, max_size=axes)))
    items: list[Any] = []
    if places == list(range(axes)) and draw(st.booleans()):
        chosen = places
    else:
        chosen = list(range(4 - axes, 4))
        items.append(Ellipsis)
    for axis in chosen:
        number = st.integers(-shape[axis], shape[axis] - 1)
        items.append(draw(number | st.builds(slice, bounds, bounds, steps)))
    if len(items) == 1 and draw(st.booleans()):
        return items[0]
    return tuple(items)


def executed(selection: Selection, array: NDArray[Any], grain: Shape4, points: int) -> NDArray[Any]:
    """The result of a selection from its pieces; every point must come from exactly one of them."""
    result = np.full(selection.full_shape, -1)
    for piece in selection.pieces(grain, points):
        assert (result[piece.into] == -1).all()
        result[piece.into] = array[piece.box.slices][piece.taken]
    assert (result >= 0).all()
    return result.reshape(selection.shape)


@given(st.data(), shapes, grains, st.integers(1, 500))
def test_a_selection_is_what_numpy_selects(
    data: st.DataObject, shape: Shape4, grain: Shape4, points: int
) -> None:
    array = np.arange(np.prod(shape)).reshape(shape)
    index = data.draw(indices(shape))
    selection = Selection.of(shape, index)
    wanted = np.asarray(array[index])
    assert selection.shape == wanted.shape
    assert np.array_equal(executed(selection, array, grain, points), wanted)


@given(st.data(), shapes, grains, st.integers(100, 500))
def test_without_steps_nothing_else_is_read_and_nothing_stored_together_is_read_twice(
    data: st.DataObject, shape: Shape4, grain: Shape4, points: int
) -> None:
    starts = [data.draw(st.integers(0, size - 1)) for size in shape]
    stops = [data.draw(st.integers(start + 1, size)) for start, size in zip(starts, shape, strict=True)]
    selection = Selection.of(shape, tuple(map(slice, starts, stops)))
    pieces = list(selection.pieces(grain, points))
    assert sum(piece.box.points for piece in pieces) == selection.points
    for piece in pieces:
        assert piece.box.points <= max(points, math.prod(grain))
        for a, b, lo, hi, unit in zip(piece.box.start, piece.box.stop, starts, stops, grain, strict=True):
            assert a == lo or a % unit == 0
            assert b == hi or b % unit == 0


@given(st.data(), shapes, grains)
def test_most_of_the_chunks_is_read_chunk_by_chunk(data: st.DataObject, shape: Shape4, grain: Shape4) -> None:
    array, index = np.arange(np.prod(shape)).reshape(shape), data.draw(indices(shape))
    unit = (min(a, b) for a, b in zip(grain, shape, strict=True))
    chunks = BoxPlan.cut(shape, points=data.draw(st.integers(1, 500)), unit=shape4(unit))
    selection = Selection.of(shape, index)
    result = np.full(selection.full_shape, -1)
    for piece in selection.pieces(grain, chunks=chunks):
        assert (result[piece.into] == -1).all()
        result[piece.into] = array[piece.box.slices][piece.taken]
    assert np.array_equal(result.reshape(selection.shape), np.asarray(array[index]))
    everything = [piece.box for piece in Selection.of(shape, ...).pieces(grain, chunks=chunks)]
    assert everything == [chunk.box for chunk in chunks]


def test_large_steps_read_planes_and_small_ones_what_lies_between() -> None:
    shape = (16, 128, 128, 128)
    planes = list(Selection.of(shape, np.s_[::8, ::32]).pieces((1, 1, 1, 1)))
    assert sum(piece.box.points for piece in planes) == 2 * 4 * 128 * 128
    thinned = list(Selection.of(shape, np.s_[0, ::2, ::2, ::2]).pieces((1, 1, 1, 1)))
    assert len(thinned) < 1000
    assert sum(piece.box.points for piece in thinned) <= 128**3
    tiles = list(Selection.of(shape, np.s_[0, ::4]).pieces((1, 8, 8, 8)))
    assert sum(piece.box.points for piece in tiles) <= 128**3


def test_pieces_of_a_huge_grid_are_made_one_at_a_time() -> None:
    pieces = Selection.of((10**4, 10**4, 10**4, 10**4), np.s_[5]).pieces((1, 8, 8, 8))
    first = next(pieces)
    assert first.box.points <= 65_536


def test_an_empty_selection_reads_nothing() -> None:
    selection = Selection.of((2, 3, 4, 5), np.s_[1:1, ..., 2])
    assert selection.shape == (0, 3, 4)
    assert not list(selection.pieces((1, 1, 1, 1)))


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ((0, 0, 0, 0, 0), "too many indices: 5"),
        ((..., 0, ...), "one ellipsis"),
        ((0, 7), "x = 7 is outside the grid: x runs from 0 to 2"),
        ((0, -4), "x = -4 is outside"),
        (None, "axis t is indexed with NoneType"),
        ((0, True), "axis x is indexed with bool"),
        ((0, np.True_), "axis x is indexed with bool"),
        ((0, [1, 2]), "axis x is indexed with list"),
        (np.array([1, 2]), "axis t is indexed with ndarray"),
        (1.0, "axis t is indexed with float"),
        (slice(0, 2, 0), "axis t cannot be used: slice step cannot be zero"),
        (slice(0.5, 2), "axis t cannot be used"),
    ],
)  # fmt: skip
def test_what_is_not_basic_indexing_is_refused_in_one_line(index: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        Selection.of((2, 3, 4, 5), index)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("points", [1, 7, 60, 10_000])
def test_blocks_hold_every_point_of_a_selection_once(points: int) -> None:
    array = np.arange(4 * 9 * 8 * 7).reshape(4, 9, 8, 7)
    index = np.s_[::-2, 1::3, 5, ::2]
    selection = Selection.of(array.shape, index)
    result = np.full(selection.full_shape, -1)
    for part, into in selection.blocks(points):
        assert part.points <= points
        assert (result[into] == -1).all()
        result[into] = array[tuple(part.indices().T)].reshape(part.full_shape)
    assert np.array_equal(result.reshape(selection.shape), array[index])


def test_little_of_much_is_read_point_by_point_and_planes_across_the_fastest_axis_are_avoided() -> None:
    every_eighth = Selection.of((1, 256, 256, 256), np.s_[:, ::8, ::8, ::8])
    assert every_eighth.is_sparse((1, 1, 1, 1))
    assert not every_eighth.is_sparse((1, 8, 8, 8))
    assert Selection.of((1, 256, 256, 256), np.s_[:, ::32, ::32, ::32]).is_sparse((1, 8, 8, 8))
    assert not Selection.of((1, 256, 256, 256), np.s_[0, 3]).is_sparse((1, 1, 1, 1))
    every_second = Selection.of((1, 128, 128, 128), np.s_[:, ::2, ::2, ::2])
    assert all(piece.box.shape[3] == 127 for piece in every_second.pieces((1, 1, 1, 1)))
