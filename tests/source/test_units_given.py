"""Numbers in eV, nm and fs: each parameter by what it is, axes in nm and fs, and a text that is read again."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from qwf_async.errors import InvalidInput, UsageError
from qwf_async.lattice.grid import Grid
from qwf_async.observables import kinetic_energy, position
from qwf_async.source import array, evolve, open_source
from qwf_async.source.analytic import STATES
from qwf_async.source.base import is_parallel, notes_of, warnings_of
from qwf_async.source.evolve.from_text import own_parameters
from qwf_async.source.evolve.potentials import POTENTIALS

UNITS = "eV/nm/fs"
NM, FS, EV = 18.8972612, 41.3413733, 0.0367493222  # CODATA 2022, in bohr, ħ/Eh and Hartree
KINETIC = 0.03809982111  # ħ²/2m_e in eV nm²
HBAR = 0.6582119569  # in eV fs
LINE: dict[str, Any] = {"grid": "512x1", "box": "8", "frames": 3, "dt": 0.1, "units": UNITS}


def test_a_packet_has_the_energy_and_the_speed_that_its_numbers_say() -> None:
    with closing(open_source("gaussian:k=10,sigma=0.2,x0=-1,mass=0.5", **LINE)) as source:
        t, x = source.grid.axes[:2]
        assert (t.unit, x.unit) == ("fs", "nm")
        assert (t.step, x.origin) == pytest.approx((0.1, -4))
        psi = source.read(source.grid.whole)
        energy = KINETIC / 0.5 * (100 + 1 / (4 * 0.2**2))
        assert kinetic_energy(psi, source.grid) / EV == pytest.approx([energy] * 3, rel=1e-7)
        speed = 2 * KINETIC / 0.5 / HBAR * 10  # ħk/m in nm/fs
        assert position(psi, source.grid)[:, 0] / NM == pytest.approx(
            [-1, -1 + 0.1 * speed, -1 + 0.2 * speed]
        )
        assert is_parallel(source)


TEXTS = [
    "gaussian:k=10,sigma=0.2",
    "coherent:alpha=1,omega=2",
    "evolve:potential=barrier,height=3,width=0.1,k=10,sigma=0.2,absorb=0.5,strength=40,start=1.5",
    "evolve:potential=coulomb,soft=0.1,sigma=0.2,g=0.3,mass=0.5",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_of_the_source_is_in_atomic_units_and_is_read_again(text: str) -> None:
    atomic = {"grid": "512x1", "box": str(8 * NM), "frames": 3, "dt": 0.1 * FS}
    with (
        closing(open_source(text, **LINE)) as source,
        closing(open_source(text, **LINE)) as same,
        closing(open_source(source.spec, **atomic)) as again,  # type: ignore[arg-type] # by name
        closing(open_source(text, **{**LINE, "units": "hartree"})) as other,
    ):
        assert source.fingerprint() == same.fingerprint() != other.fingerprint()
        assert again.spec == source.spec
        assert again.grid.axes[1].unit == "bohr"
        first = source.grid.in_atomic_units()
        for mine, theirs in zip(first.axes[:2], again.grid.axes[:2], strict=True):
            assert mine.origin == pytest.approx(theirs.origin, rel=1e-7)
            assert mine.step == pytest.approx(theirs.step, rel=1e-7)


def test_an_interaction_is_an_energy_times_a_volume_of_the_grid_s_dimensions() -> None:
    for grid, dimensions in (("32x1", 1), ("16x16", 2), ("8x8x8", 3)):
        with closing(open_source("evolve:g=2", **{**LINE, "grid": grid})) as source:
            assert source.g == pytest.approx(2 * EV * NM**dimensions)  # type: ignore[attr-defined] # by delegation
            assert source.absorb == 0  # type: ignore[attr-defined]


def test_a_run_in_these_units_is_the_one_in_atomic_units_with_its_report_in_them() -> None:
    text = "evolve:potential=harmonic,omega=3,k=5,sigma=0.2,g=-0.2,steps=100"
    with closing(open_source(text, **{**LINE, "grid": "128x1"})) as source:
        psi = source.read(source.grid.whole)
        notes = notes_of(source)
    grid = source.grid.in_atomic_units()
    with closing(
        evolve(
            array(psi[:1], Grid(shape=(1, 128, 1, 1), axes=grid.axes)),
            f"harmonic:omega={3 / FS}",
            frames=3,
            dt=0.1 * FS,
            g=-0.2 * EV * NM,
            steps=100,
        )
    ) as by_hand:
        assert np.abs(by_hand.read(grid.whole) - psi).max() < 1e-6
        assert notes["energy_first"] == pytest.approx(by_hand.notes()["energy_first"] / EV, rel=1e-6)
        assert notes["time_step"] == pytest.approx(0.001)


def test_a_run_goes_on_from_a_file_at_a_time_in_fs(tmp_path: Path) -> None:
    np.save(tmp_path / "psi.npy", np.exp(-(np.linspace(-3, 3, 64) ** 2)).astype(complex))
    with closing(
        open_source(f"evolve:initial={tmp_path}/psi.npy,start=2.5", **{**LINE, "grid": "64x1"})
    ) as source:
        assert source.grid.axes[0].origin == pytest.approx(2.5)
    with closing(open_source(f"{tmp_path}/psi.npy", box="2", units=UNITS)) as file:
        x = file.grid.axes[1]
        assert (x.step, x.unit) == (2 / 64, "nm")


def test_advice_is_in_the_units() -> None:
    coarse: dict[str, Any] = {**LINE, "grid": "32x1"}
    for text in ("gaussian:k=20,sigma=0.2", "evolve:k=20,sigma=0.2"):
        with closing(open_source(text, **coarse)) as source:
            (advice,) = warnings_of(source)[:1]
        assert "box=(8,)" in advice
        assert "is beyond 12.57/nm" in advice
    with closing(open_source("evolve:k=2,sigma=0.2,steps=1", **LINE)) as source:
        assert all(text.endswith("(in atomic units)") for text in warnings_of(source))


def test_units_of_another_name_are_refused() -> None:
    with pytest.raises(UsageError, match="'cgs' is none of hartree, eV/nm/fs"):
        open_source("gaussian", units="cgs")
    with pytest.raises(InvalidInput, match="must be above 0"):
        open_source("gaussian:sigma=-0.1", **{**LINE, "units": "hartree"})


def test_every_parameter_says_what_it_is() -> None:
    plain = {"n", "l", "m", "Z", "alpha", "mass", "steps", "accuracy", "frame", "fft", "plane.k"}
    makers: dict[str, Callable[..., Any]] = {**STATES, **POTENTIALS, "evolve": own_parameters}
    for name, make in makers.items():
        hints = get_type_hints(make, include_extras=True)
        for parameter in inspect.signature(make).parameters:
            if parameter == "grid":
                continue
            kinds = [a for a in get_args(hints[parameter]) if hasattr(a, "quantity")]
            has_no_unit = not kinds or kinds[0].quantity == "number"
            assert has_no_unit == bool({parameter, f"{name}.{parameter}"} & plain), f"{name}: {parameter}"
