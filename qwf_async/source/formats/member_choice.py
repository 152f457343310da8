"""Which of a file's arrays is ψ: the one that is named, the only one, the only complex one, or a pair of re and im."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Final

from ...errors import InvalidInput

MAX_SHOWN: Final = 20
"""Names that a message lists at most."""

_HALF: Final = re.compile(
    r"(?P<stem>(.*[/_.-])?)(?P<half>re|real|im|imag)(?P<tail>([_.-].*)?)", re.IGNORECASE
)


def choose_members(
    names: Sequence[str],
    choice: str | None,
    path: str,
    is_complex: Callable[[str], bool],
    *,
    axes: Collection[str] = (),
) -> tuple[str, ...]:
    """The name of the array that is ψ, or the names of two: real part, imaginary part.

    `names` are those of all arrays, as `group/name`. `choice` is what was given after the
    colon: a name, a group that holds one array or a pair, two names with a comma between,
    or None. Arrays that are `axes` of others are ψ only if they are named. Of several arrays the
    only one that `is_complex` is taken. Raises InvalidInput if there is no such array or half, or
    if it is not clear which is meant; the message lists the arrays.
    """
    listed = _listed(names)
    others = [name for name in names if name not in axes]
    if not choice:
        return _only(others, path, f"name one as {path}:NAME; {listed}", is_complex)
    words = [word.strip("/") for word in choice.split(",")]
    if len(words) > 2:
        raise InvalidInput(f"{path}:{choice} names {len(words)} arrays: ψ is one, or two for re and im")
    if len(words) == 2:
        for word in words:
            if word not in names:
                raise InvalidInput(f"{path} has no array {word!r}: {listed}")
        return tuple(words)
    (word,) = words
    if word in names:
        return (word,)
    inside = [name for name in others if name.startswith(f"{word}/")] if word else others
    if not inside:
        raise InvalidInput(f"{path} has no array {word!r}: {listed}")
    return _only(inside, path, f"name one of those in {word}; {listed}", is_complex)


def _only(names: Sequence[str], path: str, advice: str, is_complex: Callable[[str], bool]) -> tuple[str, ...]:
    """The array or pair among `names` that needs no choice. Raises InvalidInput, with `advice`, if there is none."""
    if not names:
        raise InvalidInput(f"{path} holds no array of numbers")
    complex_names = [name for name in names if is_complex(name)]
    if len(complex_names) == 1:
        return (complex_names[0],)
    halves: dict[tuple[str, str], dict[str, str]] = {}
    for name in names:
        if match := _HALF.fullmatch(name):
            half = match["half"].lower()[:2]
            halves.setdefault((match["stem"], match["tail"]), {})[half] = name
    pairs = [pair for pair in halves.values() if len(pair) == 2]
    if len(pairs) == 1 and len(names) == 2:
        return pairs[0]["re"], pairs[0]["im"]
    if len(names) == 1:
        if halves:
            other = "im" if "re" in next(iter(halves.values())) else "re"
            raise InvalidInput(
                f"{path} holds {names[0]} but no {other} that belongs to it: name it, {path}:{names[0]}, to take it "
                "as a real ψ"
            )
        return (names[0],)
    raise InvalidInput(f"{path} holds {len(names)} arrays: {advice}")


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "it holds no array of numbers"
    return f"it has {', '.join(names[:MAX_SHOWN])}{', …' if len(names) > MAX_SHOWN else ''}"
