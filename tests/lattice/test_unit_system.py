"""Systems of units: their values hang together by ħ, and are found by name."""

from __future__ import annotations

import pytest

from qwf_async.errors import UsageError
from qwf_async.lattice.unit_system import EV_NM_FS, HARTREE, UNIT_SYSTEMS, UnitSystem, unit_system
from qwf_async.lattice.units import in_atomic_units

HBAR_EV_FS = 0.6582119569509066  # exact in the SI of 2019: h/2π/e
KINETIC = 0.03809982111  # ħ²/2m_e in eV nm²


@pytest.mark.parametrize("system", UNIT_SYSTEMS.values(), ids=lambda system: system.name)
def test_the_units_of_a_system_are_those_of_axes(system: UnitSystem) -> None:
    for name, is_time, value in (
        (system.length, False, system.in_bohr),
        (system.time, True, system.in_atomic_time),
    ):
        assert in_atomic_units(name, time=is_time, what="it")[0] == pytest.approx(value, rel=1e-12)


def test_energy_and_time_multiply_to_hbar_and_energy_and_length_to_the_mass() -> None:
    assert EV_NM_FS.in_hartree * EV_NM_FS.in_atomic_time == pytest.approx(1 / HBAR_EV_FS, rel=1e-9)
    assert EV_NM_FS.in_hartree * EV_NM_FS.in_bohr**2 == pytest.approx(1 / (2 * KINETIC), rel=1e-9)


def test_a_system_is_found_by_name_in_any_case() -> None:
    assert unit_system("ev/NM/fs") is EV_NM_FS
    assert unit_system("hartree") is HARTREE
    with pytest.raises(UsageError, match="'cgs' is none of hartree, eV/nm/fs"):
        unit_system("cgs")
