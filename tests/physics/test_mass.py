"""The mass of the particle: it is stored with ψ, and kinetic energies and currents follow from it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from qwf_async import observables
from qwf_async.catalog.manifest import Manifest
from qwf_async.errors import DamagedData, InvalidInput
from qwf_async.lattice.grid import Grid
from qwf_async.layout import Form
from qwf_async.source import gaussian

HEAVY = replace(Grid.of((64,), box=(20,), frames=2, dt=0.5), mass=3.5)


def manifest_on(grid: Grid) -> Manifest:
    form = Form.of(layout="flat", codec="c16", shape=grid.shape)
    return Manifest(generation="0123456789abcdef", form=form, grid=grid, source="s", fingerprint="f")


def test_the_manifest_keeps_the_mass_and_says_nothing_new_of_an_electron() -> None:
    fields = manifest_on(HEAVY).to_fields()
    assert Manifest.from_fields(fields, "it").grid == HEAVY
    assert json.loads(fields["conventions"])["mass"] == 3.5
    electron = manifest_on(replace(HEAVY, mass=1)).to_fields()
    assert '"mass": 1,' in electron["conventions"]
    del electron["conventions"]  # as another program may have written it
    assert Manifest.from_fields(electron, "it").grid.mass == 1
    with pytest.raises(DamagedData, match="mass=-1 must be above 0"):
        Manifest.from_fields({**fields, "conventions": '{"mass": -1}'}, "it")
    assert manifest_on(HEAVY).differences(manifest_on(replace(HEAVY, mass=1))) == [
        "grid: stored mass 3.5, given mass 1.0"
    ]


def test_energy_and_current_are_those_of_the_mass() -> None:
    packet = gaussian(k=1.5, sigma=1, grid=replace(HEAVY, shape=(1, 64, 1, 1), mass=1))
    psi = packet.read(packet.grid.whole)
    kinetic = (1.5**2 + 1 / 4) / 2
    assert observables.kinetic_energy(psi, packet.grid) == pytest.approx([kinetic], rel=1e-6)
    assert observables.kinetic_energy(psi, HEAVY) == pytest.approx([kinetic / 3.5], rel=1e-6)
    assert observables.momentum(psi, HEAVY) == pytest.approx(np.array([[1.5]]))
    flow = observables.current(psi, HEAVY).sum() * HEAVY.axes[1].in_atomic_units("x").step  # ⟨p⟩/m
    assert flow == pytest.approx(1.5 / 3.5)


@pytest.mark.parametrize("mass", [0, -1, float("nan"), float("inf")])
def test_an_impossible_mass_is_refused(mass: float) -> None:
    with pytest.raises(InvalidInput, match="must be above 0"):
        replace(HEAVY, mass=mass)
