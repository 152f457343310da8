"""Units of length and time that files state, in Hartree atomic units.

Source: CODATA recommended values of 2022 (NIST, physics.nist.gov/constants): Bohr radius
5.291 772 105 44(82) × 10⁻¹¹ m; atomic unit of time 2.418 884 326 5864(26) × 10⁻¹⁷ s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ...errors import InvalidInput

BOHR_METRES: Final = 5.29177210544e-11
"""The Bohr radius a0 in metres."""

TIME_SECONDS: Final = 2.4188843265864e-17
"""The atomic unit of time ħ/Eh in seconds."""

ANGSTROM: Final = 1e-10 / BOHR_METRES
"""One ångström in bohr."""

_LENGTHS: Final[Mapping[str, float]] = {
    **dict.fromkeys(("bohr", "bohrs", "a0", "a_0", "au", "a.u.", "atomic units"), 1.0),
    **dict.fromkeys(("å", "angstrom", "angstroms", "ångström", "ångstrom", "angström", "ang"), ANGSTROM),
    **dict.fromkeys(("m", "metre", "meter", "metres", "meters"), 1 / BOHR_METRES),
    **dict.fromkeys(("nm", "nanometre", "nanometer", "nanometers"), 10 * ANGSTROM),
    **dict.fromkeys(("pm", "picometre", "picometer", "picometers"), ANGSTROM / 100),
}
_TIMES: Final[Mapping[str, float]] = {
    **dict.fromkeys(("hbar/eh", "ħ/eh", "ħ/e_h", "hbar/hartree", "au", "a.u.", "atomic units"), 1.0),
    **dict.fromkeys(("s", "second", "seconds"), 1 / TIME_SECONDS),
    **dict.fromkeys(("ps", "picosecond", "picoseconds"), 1e-12 / TIME_SECONDS),
    **dict.fromkeys(("fs", "femtosecond", "femtoseconds"), 1e-15 / TIME_SECONDS),
    **dict.fromkeys(("as", "attosecond", "attoseconds"), 1e-18 / TIME_SECONDS),
}


def in_atomic_units(unit: str, *, time: bool, what: str) -> tuple[float, str]:
    """What one `unit` is in bohr or, of a time, in ħ/Eh, and the name of that: "bohr" or "hbar/Eh".

    Raises InvalidInput, naming `what`, for a unit that is not known, or not of that kind.
    """
    # The sign for ångström (U+212B) lowers to the letter å.
    known = _TIMES if time else _LENGTHS
    factor = known.get(unit.strip().casefold())
    if factor is None:
        names = "hbar/Eh, fs, as, ps, s" if time else "bohr, angstrom, nm, pm, m"
        raise InvalidInput(
            f"{what} is in {unit!r}, which is no unit of {'time' if time else 'length'}: {names}"
        )
    return factor, "hbar/Eh" if time else "bohr"
