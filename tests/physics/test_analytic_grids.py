"""What all analytic states share: default grids and frames, fingerprints, and the memory of a chunk."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace

import pytest

from qwf_async.lattice.grid import Axis, Grid
from qwf_async.lattice.plan import BoxPlan
from qwf_async.source import box, coherent, gaussian, harmonic, hydrogen, plane
from qwf_async.source.analytic.formula import Analytic
from tests.support.analytic import line


def test_default_grid_is_64_cubed_without_a_time_step() -> None:
    for make in (gaussian, plane, box, harmonic, coherent, hydrogen):
        grid = make().grid
        assert grid.shape == (1, 64, 64, 64)
        assert grid.cell_volume is not None
        assert grid.axes[0].step is None
        assert grid.axes[1].unit == "bohr"


def test_a_given_grid_is_kept() -> None:
    grid = Grid.cube(8, box=3.0, frames=2, dt=0.25)
    for make in (gaussian, plane, harmonic, coherent, hydrogen):
        assert make(grid=grid).grid == grid


def test_frames_without_a_step_cover_a_period() -> None:
    source = harmonic({0: 1, 2: 1}, omega=2, grid=line(8))
    assert source.grid.axes[0] == Axis(step=math.pi / 8, unit="hbar/Eh")
    assert plane(k=0, grid=line(4)).grid.axes[0].step is not None


def test_fingerprint_tells_states_and_grids_apart() -> None:
    grid = Grid.cube(8, box=3.0, frames=2, dt=0.25)
    base = hydrogen(2, 1, 0, grid=grid)
    assert base.fingerprint() == hydrogen(2, 1, 0, Z=1, grid=grid).fingerprint()
    others = [
        hydrogen(2, 1, 1, grid=grid),
        hydrogen(2, 1, 0, Z=1.5, grid=grid),
        hydrogen(2, 1, 0, grid=grid.with_box((3.5,))),
        hydrogen(2, 1, 0, grid=grid.with_time_step(0.5)),
        hydrogen(2, 1, 0, grid=replace(grid, shape=(3, 8, 8, 8))),
        gaussian(grid=grid),
    ]
    assert len({s.fingerprint() for s in [base, *others]}) == 7
    assert "\n" not in base.fingerprint()


MEASURED = [
    *(make(grid=Grid.cube(256)) for make in (gaussian, plane, harmonic, coherent)),
    box({1: 1, 2: 1j}, grid=Grid.cube(256)),
    *(hydrogen(*numbers, grid=Grid.cube(256)) for numbers in ((1, 0, 0), (10, 4, 2), (30, 15, 0))),
]


@pytest.mark.parametrize("source", MEASURED, ids=lambda source: source.spec)
def test_a_chunk_needs_memory_for_a_few_chunks(source: Analytic) -> None:
    chunk = BoxPlan.cut(source.grid.shape)[100].box
    tracemalloc.start()
    try:
        size = source.read(chunk).nbytes
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * size
