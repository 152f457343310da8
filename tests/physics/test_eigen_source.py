"""Eigenstates as a source: its text, what is refused, what is told, and that it can be stopped."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from qwf_async.errors import InvalidInput, UsageError
from qwf_async.lattice.grid import Box, Grid
from qwf_async.source import eigen, open_source
from qwf_async.source.base import notes_of
from qwf_async.source.stationary import hamiltonian

TEXT = "eigen:potential=harmonic,omega=2,n=3,mass=1.5"


def test_text_becomes_states_and_states_become_text() -> None:
    with closing(open_source(TEXT, grid="128x1")) as source:
        assert source.grid.shape == (3, 128, 1, 1)
        assert (source.grid.axes[0].unit, source.grid.axes[0].step) == (None, None)
        assert source.grid.mass == 1.5
        assert source.spec == "eigen:potential=harmonic,omega=2,centre=0,n=3,mass=1.5,accuracy=1e-08"
        with closing(open_source(source.spec, grid="128x1")) as again:
            assert again.fingerprint() == source.fingerprint()
            np.testing.assert_array_equal(again.read(again.grid.whole), source.read(source.grid.whole))


def test_numbers_may_be_in_nanometres_electron_volts_and_femtoseconds() -> None:
    text = "eigen:potential=harmonic,omega=1.5,n=2,mass=0.067"
    with closing(open_source(text, grid="128x1", units="eV/nm/fs")) as source:
        source.read(source.grid.whole)
        assert source.grid.axes[1].unit == "nm"
        notes = notes_of(source)
    hbar = 0.6582119569  # eV fs
    assert [notes["energy_0"], notes["energy_1"]] == pytest.approx([0.75 * hbar, 2.25 * hbar], rel=1e-9)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "eigen:potential=harmonic,frames=3",
            {},
            "no parameter 'frames'; with this potential it takes potential, n,",
        ),
        ("eigen:n=three", {}, "n=three cannot be read"),
        ("eigen:n=0", {}, "n=0 must be from 1"),
        ("eigen:n=2", {"frames": 3}, "does not fit n=2"),
        ("eigen:potential=barrier", {}, "has no box of its own: give"),
        ("eigen:potential=frog", {}, "unknown potential 'frog'"),
        ("eigen:accuracy=1", {}, "between 1e-12 and 0.1"),
        ("eigen:mass=0", {}, "mass=0"),
        ("eigen:g=nan", {}, "g=nan must be finite"),
        ("eigen:n=99", {"grid": "64x1"}, "must be from 1 to the 64 points"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(text: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        open_source(text, **options)


def test_frames_are_no_times() -> None:
    with pytest.raises(UsageError, match="its frames are states"):
        open_source("eigen:n=2", dt=0.1)
    with pytest.raises(InvalidInput, match="depends on time"):
        eigen(Grid.of((64,), box=(10.0,)), lambda x, y, z, t: x * t)


def test_states_that_reach_the_edge_or_do_not_fit_the_grid_are_told() -> None:
    with closing(eigen(Grid.of((12,), box=(10.0,)), "harmonic", n=3)) as source:
        assert source.remarks() == []
        source.read(source.grid.whole)
        edge, coarse = source.remarks()
        assert edge.startswith("states 1, 2 are at the edges of the box along x: not bound within it")
        assert coarse.startswith("the grid is too coarse along x: 0.21 % of the kinetic energy")


def test_what_does_not_converge_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shaking(hamiltonian.Hamiltonian):
        """An operator that is not the same from call to call."""

        def apply(self, psi: Any, into: Any) -> None:
            super().apply(psi, into)
            into += 1e-3 * np.random.default_rng().standard_normal(into.shape)

    monkeypatch.setattr("qwf_async.source.stationary.solution.Hamiltonian", Shaking)
    with closing(eigen(Grid.of((256,)), "harmonic", n=2)) as source:
        with pytest.raises(InvalidInput, match="did not converge: ‖Hψ − Eψ‖"):
            source.read(source.grid.whole)
        assert source.notes() == {}


def test_closing_stops_a_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()
    apply = hamiltonian.Hamiltonian.apply

    def apply_and_tell(self: Any, psi: Any, into: Any) -> None:
        begun.set()
        apply(self, psi, into)

    monkeypatch.setattr(hamiltonian.Hamiltonian, "apply", apply_and_tell)
    source = eigen(Grid.cube(64), "harmonic", n=8, accuracy=1e-12)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(source.read, source.grid.whole)
        assert begun.wait(30)
        source.close()
        with pytest.raises(InvalidInput, match="closed"):
            reading.result(10)
    with pytest.raises(InvalidInput, match="closed"):
        source.read(Box(start=(0, 0, 0, 0), stop=(1, 1, 1, 1)))


def test_the_same_bits_whatever_the_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    def states(count: int) -> bytes:
        monkeypatch.setattr(hamiltonian, "cores", lambda: count)
        with closing(eigen(Grid.of((64, 48)), "coulomb", n=5)) as source:
            return source.read(source.grid.whole).tobytes()

    assert states(1) == states(3)
