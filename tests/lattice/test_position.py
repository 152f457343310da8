"""Physical coordinates, and the grid points nearest to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.errors import InvalidInput, UsageError
from qwf_async.lattice.grid import Axis, Grid
from qwf_async.lattice.position import nearest_point, position_label, position_text, read_coordinates

GRID = Grid.of((100, 50), box=(20.0, 10.0), frames=5, dt=0.5)
OPEN = Grid(
    shape=(1, 11, 1, 1), axes=(Axis(), Axis(origin=1.0, step=0.5, unit="nm", periodic=False), Axis(), Axis())
)


def test_coordinates_are_read_by_axis() -> None:
    assert read_coordinates("x=-4.0,y=0") == {1: -4.0, 2: 0.0}
    assert read_coordinates(" t = 1e-1 , z=+2") == {0: 0.1, 3: 2.0}


@pytest.mark.parametrize(
    "text", ["", "x", "x=", "x=1,", "x=1,x=2", "w=1", "x=nan", "x=inf", "x=1:2", "x=1;y=2", "1,2"]
)
def test_other_texts_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"write x=-4\.0,y=0"):
        read_coordinates(text)


def test_the_nearest_point_is_taken_and_said() -> None:
    indices = nearest_point(GRID, {1: -4.09, 2: 0.0, 0: 1.1})
    assert indices == {1: 30, 2: 25, 0: 2}
    assert (
        position_text(GRID, indices) == "x = -4 bohr (index 30), y = 0 bohr (index 25), t = 1 ħ/Eh (index 2)"
    )


def test_the_end_of_a_periodic_axis_is_its_first_point_and_time_is_not_periodic() -> None:
    assert nearest_point(GRID, {1: 10.0}) == {1: 0}
    assert nearest_point(GRID, {1: 9.81, 0: 2.0}) == {1: 99, 0: 4}
    with pytest.raises(InvalidInput, match=r"t = 2\.5 is outside the grid: t runs from 0 to 2 ħ/Eh"):
        nearest_point(GRID, {0: 2.5})


def test_outside_the_box_the_extent_is_said() -> None:
    with pytest.raises(InvalidInput, match=r"x = 10\.1 is outside the grid: x runs from -10 to 10 bohr"):
        nearest_point(GRID, {1: 10.1})
    assert nearest_point(OPEN, {1: 6.0}) == {1: 10}
    with pytest.raises(InvalidInput, match=r"x = 6\.1 is outside the grid: x runs from 1 to 6 nm"):
        nearest_point(OPEN, {1: 6.1})


def test_an_axis_of_one_point_has_its_place_only() -> None:
    assert nearest_point(GRID, {3: 0.0}) == {3: 0}
    with pytest.raises(InvalidInput, match=r"z = 1 is outside the grid: z has one point, at 0$"):
        nearest_point(GRID, {3: 1.0})


def test_an_axis_without_spacing_takes_no_coordinate() -> None:
    with pytest.raises(InvalidInput, match=r"the spacing of axis x is not known.*give an index"):
        nearest_point(Grid.cube(8), {1: 0.0})


def test_rounding_beside_zero_is_zero() -> None:
    assert position_label(Grid.of((10,), box=(1.0,)), 1, 5) == "x = 0 bohr"
    assert position_label(Grid.of((60,), box=(4.2,)), 1, 30) == "x = 0 bohr"


@given(st.floats(-10, 10))
def test_no_point_of_the_grid_is_nearer(x: float) -> None:
    points = GRID.coordinates(1, 0, 101)  # the first point again at the end
    index = nearest_point(GRID, {1: x})[1]
    nearest = np.abs(points - x).min()
    assert min(abs(points[index] - x), abs(points[100] - x) if index == 0 else np.inf) <= nearest + 1e-12
