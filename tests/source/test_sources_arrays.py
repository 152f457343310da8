"""Arrays and functions as sources, compared with NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Box, Grid
from qwf_async.source import array, function
from tests.source.test_sources_files import SHAPES, as_4d, some

Array = NDArray[Any]


def test_array_is_viewed_and_not_copied() -> None:
    for shape in SHAPES:
        for order in ("C", "F"):
            values = np.asarray(some(shape), order=order)
            source = array(values)
            assert source.order == (order if len(shape) > 1 else "C")
            got = source.read(source.grid.whole)
            assert np.shares_memory(got, values)
            np.testing.assert_array_equal(got, as_4d(values))


def test_array_of_any_type_is_read_as_a_native_complex_one() -> None:
    for dtype, yielded in [(">c16", "c16"), (">c8", "c8"), ("f4", "c8"), (">f8", "c16"), ("i2", "c16")]:
        values = some((4, 5, 6), dtype)
        got = array(values).read(Box(start=(0, 1, 0, 2), stop=(1, 3, 5, 6)))
        assert got.dtype == np.dtype(yielded)
        assert got.dtype.isnative
        np.testing.assert_array_equal(got, values[None, 1:3, :, 2:])


def test_array_may_bring_its_grid() -> None:
    grid = Grid.of((4, 5), box=(1, 1))
    assert array(some((4, 5)), grid).grid == grid
    with pytest.raises(InvalidInput, match=r"shape \(1, 4, 6, 1\) as t, x, y, z, but its grid has"):
        array(some((4, 6)), grid)


def test_a_grid_says_whether_a_dimension_of_two_is_parts_or_points() -> None:
    values = some((6, 2), np.float64)
    parts = array(values, Grid.of((6,), box=(3,)))
    np.testing.assert_array_equal(parts.psi[0, :, 0, 0], values[:, 0] + 1j * values[:, 1])
    points = array(values, Grid.of((6, 2), box=(3, 1)))
    np.testing.assert_array_equal(points.psi, as_4d(values))
    with pytest.raises(InvalidInput, match="re and im, or two points"):
        array(some((2, 2), np.float64), Grid.of((2,)))
    with pytest.raises(InvalidInput, match="re and im, or two points"):
        array(values, Grid.of((5,)))


@pytest.mark.parametrize(
    "values", [np.array([None]), np.array(["a"]), np.ones(2, dtype=bool), np.zeros((0, 3))]
)
def test_array_that_is_no_wavefunction_is_refused(values: Array) -> None:
    with pytest.raises(InvalidInput, match="the array"):
        array(values)


def test_fingerprint_of_an_array_is_that_of_its_values() -> None:
    values = some((40, 50, 60))
    first = array(values).fingerprint()
    assert array(values.copy()).fingerprint() == first
    assert array(values.copy()[:, ::-1][:, ::-1]).fingerprint() == first
    changed = values.copy()
    changed[39, 49, 59] += 1e-12
    others = [changed, values.astype(np.complex64), values.reshape(50, 40, 60)]
    assert len({first, *(array(other).fingerprint() for other in others)}) == 4


POINTS = Grid.of((6, 5, 4), box=(6, 5, 4), frames=3, dt=0.5)


def wave(t: Array, x: Array, y: Array, z: Array) -> Array:
    return np.asarray(np.exp(1j * (x + 2 * y - t)) * (1 + z))


def test_function_is_evaluated_where_the_points_lie() -> None:
    source = function(wave, grid=POINTS)
    axes = [POINTS.coordinates(a, 0, n) for a, n in enumerate(POINTS.shape)]
    expected = wave(*np.meshgrid(*axes, indexing="ij"))
    np.testing.assert_array_equal(source.read(POINTS.whole), expected)
    piece = Box(start=(1, 2, 0, 3), stop=(3, 5, 1, 4))
    np.testing.assert_array_equal(source.read(piece), expected[piece.slices])


def test_function_may_return_fewer_axes_and_real_values() -> None:
    got = function(lambda t, x, y, z: np.float32(2) * x.astype(np.float32), grid=POINTS).read(POINTS.whole)
    assert got.shape == POINTS.shape
    assert got.dtype == np.complex64
    assert function(lambda *_: 1, grid=POINTS).read(POINTS.whole).dtype == np.complex128


@pytest.mark.parametrize(
    ("psi", "message"),
    [
        (lambda t, x, y, z: 1 / 0, "failed: ZeroDivisionError"),
        (lambda t: t, "failed: TypeError"),
        (lambda t, x, y, z: np.ones(7), r"returned the shape \(7,\)"),
        (lambda t, x, y, z: "abc", "holds values of type"),
        (lambda t, x, y, z: None, "type object"),
    ],
)
def test_function_that_fails_is_bad_input(psi: Callable[..., Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        function(psi, grid=POINTS).read(POINTS.whole)


def test_function_needs_to_know_where_its_points_lie() -> None:
    with pytest.raises(InvalidInput, match="spacing of axis x is not known"):
        function(wave, grid=Grid.cube(4))


def test_fingerprint_of_a_function_is_that_of_its_values() -> None:
    def scaled(factor: float) -> Callable[..., Any]:
        return lambda t, x, y, z: factor * wave(t, x, y, z)

    assert function(scaled(2), grid=POINTS).fingerprint() == function(scaled(2), grid=POINTS).fingerprint()
    assert function(scaled(2), grid=POINTS).fingerprint() != function(scaled(3), grid=POINTS).fingerprint()
