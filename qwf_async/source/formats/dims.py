"""Which dimension of a file or array is which axis of ψ.

A dimension is one of the letters t, x, y, z; `c` of length two, real part and imaginary
part; or `-` of length one, which is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import permutations
from types import MappingProxyType
from typing import Final

from ...errors import InvalidInput, UsageError
from ...lattice.grid import Shape4, shape4
from ...wording import option, quoted

PART: Final = "c"
"""The letter of a dimension of two: real part and imaginary part."""

LEFT_OUT: Final = "-"
"""The letter of a dimension of one point that is left out."""

LETTERS: Final = "txyz"
SPATIAL: Final = "xyz"

Lengths = Mapping[str, frozenset[int]]
"""By the letter of an axis: how many points the arrays beside ψ have that can be this axis."""

_BY_NAME: Final[Mapping[str, str]] = {"time": "t"} | dict(zip(LETTERS, LETTERS, strict=True))
_PARTS: Final = {
    "_pfnc_complex", "c", "complex", "part", "parts", "re_im", "real_imag", "realimag", "reim", "ri",
}  # fmt: skip
"""Names of a dimension of re and im. Source of `_pfnc_complex`, `complex`, `ri`: nc-complex, as in netCDF4-python."""

_ANONYMOUS: Final = re.compile(r"(phony_)?dim_?[0-9]+")
_BY_NUMBER: Final = {1: "x", 2: "xy", 3: "xyz", 4: "txyz"}


def letters_of(
    names: Sequence[str | None],
    shape: tuple[int, ...],
    *,
    real: bool,
    dims: str | None,
    grid: Shape4 | None = None,
    lengths: Lengths = MappingProxyType({}),
    what: str,
) -> str:
    """One letter for each dimension.

    `names` are those of the dimensions, None for one without. `dims` is what --dims says: a
    letter for each dimension in order, `x,y,z,t`, or by name, `lon=x,time=t`. Without it, the
    dimensions are those that their names say: t (or time), x, y, z. Without names, dimensions
    are those whose arrays beside ψ have the same number of points, by their `lengths`. Without
    these, 1 to 3 dimensions are x, y, z and 4 are t, x, y, z. `real` says that the values are
    real numbers, and not one of two arrays for re and im: only then a dimension can be the parts.
    Without names a first or last dimension of two can be the parts or two points. The shape of a
    `grid`, [t, x, y, z], decides it, or else the user is asked. Raises InvalidInput, naming
    `what`, if it is not clear or not possible, UsageError for a `dims` that cannot be read.
    """
    if not shape:
        raise InvalidInput(f"{what} is a single number, no wavefunction")
    known = [None if name is None or _ANONYMOUS.fullmatch(name) else name for name in names]
    if dims is not None and "=" not in dims:
        letters = _in_order(dims, shape, what)
    elif dims is None and not any(known):
        letters = _by_number(shape, real, grid, lengths, what)
    else:
        letters = _by_name(known, shape, real, _pairs(dims, names, what), what)
    _check(letters, shape, real, what)
    return letters


def _in_order(dims: str, shape: tuple[int, ...], what: str) -> str:
    """The letters that --dims gives in the order of the dimensions."""
    words = dims.split(",")
    if not set(words) <= {*LETTERS, PART, LEFT_OUT}:
        raise UsageError(
            f"{option('dims')} {quoted(dims)} cannot be read: write t,x,y,z in the order of the dimensions, or name=x"
        )
    if len(words) != len(shape):
        raise InvalidInput(
            f"{what} has {len(shape)} dimensions of {_sizes(shape)} points, but {option('dims')} names {len(words)}"
        )
    return "".join(words)


def _pairs(dims: str | None, names: Sequence[str | None], what: str) -> dict[str, str]:
    """The letters that --dims gives by the names of dimensions."""
    pairs = {}
    for word in dims.split(",") if dims else ():
        name, _, letter = word.rpartition("=")
        if not name or letter not in (*LETTERS, PART, LEFT_OUT):
            raise UsageError(
                f"{option('dims')}: {quoted(word)} cannot be read: write name=t, name=x, name=y or name=z"
            )
        if name not in names:
            has = ", ".join(filter(None, names)) or "none with a name"
            raise InvalidInput(f"{what} has no dimension {name!r}: it has {has}")
        pairs[name] = letter
    return pairs


def _by_number(shape: tuple[int, ...], real: bool, grid: Shape4 | None, lengths: Lengths, what: str) -> str:
    """The letters of dimensions without names, by how many they are and how many points they have."""
    fewer = _BY_NUMBER.get(len(shape) - 1)
    possible = []
    if real and fewer is not None:
        possible += [fewer + PART] if shape[-1] == 2 else []
        possible += [PART + fewer] if shape[0] == 2 else []
    if len(shape) in _BY_NUMBER:
        possible.append(_BY_NUMBER[len(shape)])
    if fitting := _fitting(shape, lengths):
        usual = [letters for letters in possible if _agrees(letters, shape, fitting)]
        possible = usual or _arrangements(shape, fitting, real)
        if not usual and len(possible) != 1:
            raise InvalidInput(_unclear(shape, fitting, possible, what))
    if len(possible) > 1 and grid is not None:
        possible = [letters for letters in possible if _sizes_of(letters, shape) == grid] or possible
    if not possible or (len(possible) > 1 and len(shape) not in _BY_NUMBER):
        raise InvalidInput(_too_many(shape, possible or _without_ones(shape, real), what))
    if len(possible) > 1:
        raise InvalidInput(
            f"{what} holds real numbers, {_sizes(shape)}, and a dimension of two: re and im, or two points? "
            f"{option('dims', ','.join(possible[0]))} says parts, {option('dims', ','.join(possible[-1]))} points"
        )
    return possible[0]


def _without_ones(shape: tuple[int, ...], real: bool) -> list[str]:
    """What the letters of too many dimensions can be if dimensions of one point are left out."""
    long = [number for number, size in enumerate(shape) if size > 1]
    kept = [shape[number] for number in long]
    usual = [_BY_NUMBER[len(long)]] if len(long) in _BY_NUMBER else []
    if real and len(long) - 1 in _BY_NUMBER:
        fewer = _BY_NUMBER[len(long) - 1]
        usual += [fewer + PART] * (kept[-1] == 2) + [PART + fewer] * (kept[0] == 2)
    return [
        "".join(letters[long.index(number)] if number in long else LEFT_OUT for number in range(len(shape)))
        for letters in usual
    ]


def _too_many(shape: tuple[int, ...], possible: Sequence[str], what: str) -> str:
    """What is said of more dimensions than usual."""
    about = f"{what} has {len(shape)} dimensions of {_sizes(shape)} points"
    if not possible:
        return f"{about}: ψ has four at most, t, x, y, z; store its parts one by one"
    ways = " or ".join(option("dims", ",".join(letters)) for letters in possible)
    return f"{about}: say by {option('dims')} which is which, as in {ways}"


def _unclear(shape: tuple[int, ...], fitting: Lengths, possible: Sequence[str], what: str) -> str:
    """What is said of dimensions that the arrays beside ψ fit in no way or in several."""
    arrays = ", ".join(f"{letter} of {_alternatives(sizes)}" for letter, sizes in sorted(fitting.items()))
    ways = [option("dims", ",".join(letters)) for letters in possible[:3]] or [option("dims")]
    return (
        f"{what} has dimensions of {_sizes(shape)} points, and beside it lie {arrays} points: which is which? Say it "
        f"by {' or '.join(ways)}"
    )


def _alternatives(sizes: frozenset[int]) -> str:
    return " or ".join(map(str, sorted(sizes)))


def _sizes_of(letters: str, shape: tuple[int, ...]) -> Shape4:
    """The shape [t, x, y, z] of dimensions with these letters."""
    sizes = dict(zip(letters, shape, strict=True))
    return shape4(sizes.get(letter, 1) for letter in LETTERS)


def _by_name(
    names: Sequence[str | None], shape: tuple[int, ...], real: bool, pairs: Mapping[str, str], what: str
) -> str:
    letters = [_letter(name, size, real, pairs) for name, size in zip(names, shape, strict=True)]
    if None in letters:
        has = ", ".join(n or "one without a name" for n in names)
        first, way = names[letters.index(None)] or "that", _way(names, letters, shape, real, pairs)
        advice = f", as in {option('dims', way)}" if way else ""
        raise InvalidInput(
            f"{what} has the dimensions {has}: {first} is none of t, x, y, z; say by {option('dims')} which is "
            f"which{advice}"
        )
    return "".join(filter(None, letters))


def is_parts(name: str | None, size: int) -> bool:
    """Whether a dimension is that of re and im, by its name and length."""
    return name is not None and name.lower() in _PARTS and size == 2


def _letter(name: str | None, size: int, real: bool, pairs: Mapping[str, str]) -> str | None:
    """The letter that the name of a dimension says; a dimension of one point can be left out; None for any other."""
    word = (name or "").lower()
    if name is not None and name in pairs:
        return pairs[name]
    if real and is_parts(name, size):
        return PART
    return _BY_NAME.get(word) or (LEFT_OUT if size == 1 else None)


def _way(
    names: Sequence[str | None],
    letters: Sequence[str | None],
    shape: tuple[int, ...],
    real: bool,
    pairs: Mapping[str, str],
) -> str:
    """An example of --dims that would be accepted, for the dimensions without a letter; empty if there is none."""
    filled = list(letters)
    unknown = [number for number, letter in enumerate(letters) if letter is None]
    ends = [number for number in unknown if real and shape[number] == 2 and number in (0, len(shape) - 1)]
    if ends and PART not in filled and len(shape) > 1:
        filled[ends[-1]] = PART
    usual = LETTERS if sum(letter not in (PART, LEFT_OUT) for letter in filled) > 3 else "xyzt"
    left = [letter for letter in usual if letter not in filled]
    if len(left) < filled.count(None):
        return ""
    for number in unknown:
        filled[number] = filled[number] or left.pop(0)
    named = [*pairs, *(names[number] for number in unknown)]
    if any(name is None or "," in name or names.count(name) > 1 for name in named):
        return ",".join(filter(None, filled))  # not every name can be written: letters in order can
    return ",".join(f"{name}={filled[names.index(name)]}" for name in named)


def _check(letters: str, shape: tuple[int, ...], real: bool, what: str) -> None:
    """Raises InvalidInput if dimensions cannot have these letters."""
    for letter, size in zip(letters, shape, strict=True):
        if letter != LEFT_OUT and letters.count(letter) > 1:
            raise InvalidInput(
                f"{what}: two of its dimensions would be {letter}: say by {option('dims')} which is which"
            )
        if letter == LEFT_OUT and size != 1:
            raise InvalidInput(f"{what}: a dimension of {size} points cannot be left out")
        if letter == PART and not (real and size == 2):
            other = f"{size} points" if size != 2 else "complex ones, or of one of two arrays for re and im"
            raise InvalidInput(f"{what}: re and im are a dimension of two real numbers, not of {other}")
    if not set(letters) & set(LETTERS):
        raise InvalidInput(f"{what} has no dimension that is t, x, y or z")


def _sizes(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _agrees(letters: str, shape: tuple[int, ...], fitting: Lengths) -> bool:
    """Whether each axis in `fitting` is a dimension with as many points as one of its arrays."""
    sizes = dict(zip(letters, shape, strict=True))
    return all(sizes.get(letter) in known for letter, known in fitting.items())


def _arrangements(shape: tuple[int, ...], fitting: Lengths, real: bool) -> list[str]:
    """All that the letters of the dimensions can be by the arrays beside ψ.

    A dimension that no array fits is t, or the next of x, y, z that is left. If it is the first or
    last, of two real numbers, it can be their parts. Of alternatives that differ only in the
    letter of a dimension of one point, one is returned.
    """
    ways: dict[tuple[str, ...], str] = {}
    for letters in permutations(LETTERS + PART, len(shape)):
        parts = [number for number, letter in enumerate(letters) if letter == PART]
        if any(not real or shape[number] != 2 or number not in (0, len(shape) - 1) for number in parts):
            continue
        free = [letter for letter in letters if letter in SPATIAL and letter not in fitting]
        in_order = free == [letter for letter in SPATIAL if letter not in fitting][: len(free)]
        if in_order and _agrees("".join(letters), shape, fitting):
            key = tuple(letter for letter, size in zip(letters, shape, strict=True) if size > 1)
            ways.setdefault(key, "".join(letters))
    return list(ways.values())


def _fitting(shape: tuple[int, ...], lengths: Lengths) -> Lengths:
    """Those of the lengths that some dimension has, and that are more than one point."""
    fits = {letter: frozenset(n for n in known if n > 1 and n in shape) for letter, known in lengths.items()}
    return {letter: known for letter, known in fits.items() if known}
