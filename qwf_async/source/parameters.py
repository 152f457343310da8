"""The kinds of parameters that sources take, and how each is written as text.

A source is a plain function. Its parameters are annotated with `int`, `float` or one of the
kinds here; `arguments` reads text by these annotations. No text has a comma in it, which
separates parameters, nor a character that means something to a shell.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Protocol

from ..errors import InvalidInput
from ..lattice.unit_system import Quantity

Given = Quantity | Literal["interaction"]
"""What a number is that a user gives: see `UnitSystem.in_atomic_units`."""

AXES: Final = ("x", "y", "z")

MAX_MAGNITUDE: Final = 1e50
"""Bound on the magnitude of real parameters: their squares and quotients stay finite."""


class Kind(Protocol):
    """How a parameter is read from text. `accepts` says, for messages, what may be given."""

    @property
    def accepts(self) -> str: ...

    @property
    def quantity(self) -> Given:
        """What the numbers are, by which they are converted from the user's units."""
        ...

    def parse(self, text: str) -> Any:
        """The value that `name=text` stands for. Raises ValueError if it stands for none."""
        ...

    def join(self, texts: Mapping[int, str]) -> Any:
        """The value given axis by axis, as text by the number of the axis (0 is x). Raises ValueError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """One number."""

    of: Callable[[str], Any]
    accepts: str
    quantity: Given = "number"

    def parse(self, text: str) -> Any:
        return self.of(text)

    def join(self, texts: Mapping[int, str]) -> Any:
        raise ValueError("one number for all axes")


@dataclass(frozen=True, slots=True, kw_only=True)
class PerAxis:
    """A number for each axis: `k=2`, `k=2x0x1`, or axis by axis `kx=2,kz=1`.

    `rest` is the value for axes that get none. None means that one number is for every axis,
    and that otherwise each axis needs its own.
    """

    of: Callable[[str], Any]
    accepts: str
    rest: float | None
    quantity: Given = "number"

    def parse(self, text: str) -> tuple[Any, ...]:
        return tuple(self.of(word) for word in text.split("x"))

    def join(self, texts: Mapping[int, str]) -> tuple[Any, ...]:
        count = 1 + max(texts)
        if self.rest is None and len(texts) < count:
            raise ValueError("an axis is left out")
        return tuple(self.of(texts[i]) if i in texts else self.rest for i in range(count))


def complex_number(text: str) -> complex:
    """A complex number whose imaginary unit is written i or j. Raises ValueError."""
    return complex(f"{text[:-1]}j" if text.endswith("i") else text)


_VECTOR: Final = "a number, or one an axis as in 2x0x1.5"
_SCALE: Final = "a number, or one an axis as in 1x1x0.5"

WaveVector = Annotated[
    float | Sequence[float], PerAxis(of=float, rest=0, accepts=_VECTOR, quantity="momentum")
]
"""Wave numbers in 1/bohr. One number is the component along x; other components are 0 unless given."""

Position = Annotated[float | Sequence[float], PerAxis(of=float, rest=0, accepts=_VECTOR, quantity="length")]
"""A point in bohr. One number is the component along x; other components are 0 unless given."""

Lengths = Annotated[float | Sequence[float], PerAxis(of=float, rest=None, accepts=_SCALE, quantity="length")]
"""Lengths in bohr. One number is for every axis."""

Frequencies = Annotated[
    float | Sequence[float], PerAxis(of=float, rest=None, accepts=_SCALE, quantity="per time")
]
"""Angular frequencies in Eh/ħ. One number is for every axis."""

Length = Annotated[float, Single(of=float, accepts="a number", quantity="length")]
Energy = Annotated[float, Single(of=float, accepts="a number", quantity="energy")]
Interaction = Annotated[float, Single(of=float, accepts="a number", quantity="interaction")]
"""Energy times volume, Hartree·bohr^d in d dimensions."""

Periods = Annotated[
    int | Sequence[int], PerAxis(of=int, rest=0, accepts="a whole number, or one an axis as in 3x0x-1")
]
"""Whole numbers along the axes, 0 where none is given."""

Displacement = Annotated[
    complex | Sequence[complex],
    PerAxis(of=complex_number, rest=0, accepts="a complex number such as 1-2j, or one an axis as in 2x1jx0"),
]
"""Complex numbers along the axes, 0 where none is given."""

Mass = Annotated[float | None, Single(of=float, accepts="a number of electron masses")]
"""The mass of the particle; None is that of the grid, by default 1."""

Time = Annotated[float | None, Single(of=float, accepts="a time", quantity="time")]
"""A time in ħ/Eh; None is the source's own."""

Number = Annotated[int | None, Single(of=int, accepts="a whole number")]
"""The number of a frame, counted from the end if it is negative; None leaves it open."""

Word = Annotated[str, Single(of=str, accepts="a word")]

SINGLE: Final[Mapping[Any, Kind]] = {
    int: Single(of=int, accepts="a whole number"),
    float: Single(of=float, accepts="a number"),
}
"""The kinds of the plain annotations."""


def values_of(value: Any) -> tuple[Any, ...]:
    """One value or several, as a tuple."""
    return tuple(value) if hasattr(value, "__iter__") else (value,)


def spread(name: str, value: Any, dimensions: int, *, rest: float | None = 0) -> tuple[Any, ...]:
    """One value for each of the axes that the state has.

    Raises InvalidInput if there are more values than axes, or too few without a `rest`.
    """
    values = values_of(value)
    if rest is None and len(values) == 1:
        values *= dimensions
    if len(values) > dimensions or (rest is None and len(values) < dimensions):
        raise InvalidInput(
            f"{name}={number_text(values)} has {len(values)} values, but the grid has {dimensions} dimensions"
        )
    return values + (rest,) * (dimensions - len(values))


def reals(name: str, value: Any, dimensions: int, *, rest: float | None = 0) -> tuple[float, ...]:
    """`spread` as floats. Raises InvalidInput also for a value that is not finite or beyond ±1e50."""
    values = tuple(float(v) for v in spread(name, value, dimensions, rest=rest))
    if not all(abs(v) <= MAX_MAGNITUDE for v in values):
        raise InvalidInput(
            f"{name}={number_text(values)} must be finite and at most {MAX_MAGNITUDE:g} in magnitude"
        )
    return values


def positive(name: str, value: Any, dimensions: int) -> tuple[float, ...]:
    """`Lengths` or `Frequencies` as one float an axis. Raises InvalidInput unless all are from 1e-50 to 1e50."""
    values = reals(name, value, dimensions, rest=None)
    if min(values) < 1 / MAX_MAGNITUDE:
        raise InvalidInput(f"{name}={number_text(values)} must be above 0")
    return values


def wholes(name: str, value: Any, dimensions: int) -> tuple[int, ...]:
    """`Periods` as one int an axis. Raises InvalidInput for too many values."""
    return tuple(operator.index(v) for v in spread(name, value, dimensions))


def number_text(value: Any) -> str:
    """A number, or numbers along the axes, as text from which `parse` gets the same value."""
    if isinstance(value, tuple):
        return "x".join(number_text(v) for v in value)
    if isinstance(value, complex):
        return number_text(value.real) if value.imag == 0 else str(value).strip("()")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return str(value)
