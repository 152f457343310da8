"""Units of length and time by the names that files and people give them, in Hartree atomic units.

This is the only table of units. An axis without a unit is in atomic units. A name that is not in the
table is refused, never taken for one that is. Energies have no unit anywhere: they are in Hartree.

Source: CODATA recommended values of 2022 (NIST, physics.nist.gov/constants): Bohr radius
5.291 772 105 44(82) × 10⁻¹¹ m; atomic unit of time 2.418 884 326 5864(26) × 10⁻¹⁷ s. The names are
those of CF conventions and UDUNITS-2, and those that programs of the field write. CF states a time
as "X since DATE" (CF conventions 1.11, section 4.4).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Final

from ..errors import InvalidInput
from ..wording import option

BOHR_METRES: Final = 5.29177210544e-11
"""The Bohr radius a0 in metres."""

TIME_SECONDS: Final = 2.4188843265864e-17
"""The atomic unit of time ħ/Eh in seconds."""

ANGSTROM: Final = 1e-10 / BOHR_METRES
"""One ångström in bohr."""

LENGTH: Final = "bohr"
TIME: Final = "hbar/Eh"
"""The names of the atomic units of length and time on axes."""

NO_UNIT: Final = frozenset({"", "1", "none", "dimensionless"})
"""Texts that mean no unit. Source: "1" and an empty text are so in CF conventions 1.11, section 3.1."""

SINCE: Final = " since "
"""The text between the unit and the date from which times count."""

_PREFIXES: Final = {
    "": ("", 1.0), "m": ("milli", 1e-3), "u": ("micro", 1e-6), "n": ("nano", 1e-9),
    "p": ("pico", 1e-12), "f": ("femto", 1e-15), "a": ("atto", 1e-18),
}  # fmt: skip


def _si(symbol: str, words: tuple[str, ...], size: float) -> Iterator[tuple[str, float]]:
    """The names of an SI unit and of its small multiples with their values; `size` is the unit in atomic units."""
    for letter, (prefix, factor) in _PREFIXES.items():
        for name in (letter + symbol, *(prefix + word for word in words)):
            yield name, factor * size


_ANGSTROMS: Final = [f"{a}ngstr{o}m{s}" for a, o, s in product("aå", "oö", ("", "s"))]

_LENGTHS: Final[Mapping[str, float]] = {
    **dict.fromkeys(("bohr", "bohrs", "a0", "a_0", "au", "a.u.", "atomic units", "bohr radius"), 1.0),
    **dict.fromkeys(("A", "AA", "å", "ang", *_ANGSTROMS), ANGSTROM),
    **dict(_si("m", ("metre", "metres", "meter", "meters"), 1 / BOHR_METRES)),
    "μm": 1e-6 / BOHR_METRES,
    "micron": 1e-6 / BOHR_METRES,
    "microns": 1e-6 / BOHR_METRES,
    "nm": 10 * ANGSTROM,
    "pm": ANGSTROM / 100,
}
_TIMES: Final[Mapping[str, float]] = {
    **dict.fromkeys(("hbar/eh", "ħ/eh", "hbar/e_h", "ħ/e_h", "hbar/hartree", "ħ/hartree"), 1.0),
    **dict.fromkeys(("hbar/ha", "ħ/ha", "au", "a.u.", "atomic units"), 1.0),
    **dict(_si("s", ("second", "seconds", "sec", "secs"), 1 / TIME_SECONDS)),
    "μs": 1e-6 / TIME_SECONDS,
    **dict.fromkeys(("min", "minute", "minutes"), 60 / TIME_SECONDS),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600 / TIME_SECONDS),
    **dict.fromkeys(("d", "day", "days"), 86_400 / TIME_SECONDS),
}

_CASED: Final = frozenset({"A", "AA", "mm", "ms"})
"""Names that mean another unit, or none, in another case of letters."""


def in_atomic_units(unit: str | None, *, time: bool, what: str) -> tuple[float, str | None]:
    """The value of one `unit` in bohr or ħ/Eh, and the name of that; None as the name where there is no unit.

    Raises InvalidInput, naming `what`, for a unit that is not known, or not one of length or `time`.
    """
    if is_none(unit):
        return 1.0, None
    text = unicodedata.normalize("NFKC", unit or "").strip()
    if time:
        text = text.partition(SINCE)[0].strip()
    known = _TIMES if time else _LENGTHS
    low = text.casefold()
    factor = known.get(text if text in _CASED or low in _CASED else low)
    if factor is None:
        names = "hbar/Eh, as, fs, ps, s" if time else "bohr, angstrom, pm, nm, m"
        kind, way = ("time", option("dt")) if time else ("length", option("box"))
        raise InvalidInput(
            f"{what} is in {(unit or '')[:60]!r}, which is no unit of {kind} known here ({names}): say where "
            f"its points lie by {way}"
        )
    return factor, TIME if time else LENGTH


def is_none(unit: str | None) -> bool:
    """Whether a text means no unit."""
    return unit is None or unit.strip().casefold() in NO_UNIT
