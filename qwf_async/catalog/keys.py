"""The names of the keys, and of what stands in them: names of wavefunctions and of generations.

Each key holds a hash:

    prefix:names                     the index of names;
    prefix:{name}:meta               what is published;
    prefix:{name}:load               the load under way;
    prefix:{name}:trash              generations that are to be removed;
    prefix:{name}:scratch            what anybody may remove at any time;
    prefix:name:{generation.g}:j     the journal of a group: which of its chunks are stored;
    prefix:name:{generation.g}:…     the data of a group, of which the layout names the rest.

The braces are Redis's hash tag: the control keys of a name lie in one slot of a cluster, so that
a script may change them together. So do the data of a chunk and its journal. g is the number of
the group: that of the chunk, or 0 where all chunks are in one hash.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from ..errors import InvalidInput
from ..wire.change import JOURNAL_ENDING
from ..wording import quoted

_NAME: Final = r"[A-Za-z0-9._-]{1,128}"
_GENERATION: Final = r"[0-9a-f]{16}"
_NUMBER: Final = r"(?:0|[1-9][0-9]{0,17})"

JOURNAL: Final = b"%d}" + JOURNAL_ENDING
"""What the key of a group's journal has after the base of its generation."""


def is_name(name: str) -> bool:
    """Whether it may stand in a key."""
    return bool(re.fullmatch(_NAME, name))


def check_name(name: str, kind: str = "name") -> str:
    """The name, if it may stand in a key. Raises InvalidInput otherwise."""
    if not is_name(name):
        raise InvalidInput(
            f"the {kind} {quoted(name)} may hold only letters, digits, '.', '_' and '-' (1 to 128)"
        )
    return name


def is_generation(text: str) -> bool:
    """Whether it is the name of a generation, 16 hex digits."""
    return bool(re.fullmatch(_GENERATION, text))


def generation_of(text: str) -> str:
    """The text, if it is the name of a generation. Raises ValueError otherwise."""
    if not is_generation(text):
        raise ValueError(f"{quoted(text)} is no generation: it is 16 hex digits")
    return text


def new_generation() -> str:
    """16 random hex digits, never used twice."""
    return secrets.token_hex(8)


def names_key(prefix: str) -> str:
    """The key of the index of names."""
    return f"{prefix}:names"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of one name. Raises InvalidInput if the prefix or the name may not stand in a key."""

    prefix: str
    name: str

    def __post_init__(self) -> None:
        check_name(self.prefix, "key prefix")
        check_name(self.name)

    def control(self, kind: str) -> str:
        """A control key, by its last part."""
        return f"{self.prefix}:{{{self.name}}}:{kind}"

    @property
    def meta(self) -> str:
        return self.control("meta")

    @property
    def load(self) -> str:
        return self.control("load")

    @property
    def trash(self) -> str:
        return self.control("trash")

    @property
    def scratch(self) -> str:
        return self.control("scratch")

    @property
    def names(self) -> str:
        return names_key(self.prefix)

    def journal(self, generation: str, group: int) -> str:
        """The journal of a group of a generation."""
        return (self.base(generation) + JOURNAL % group).decode()

    def base(self, generation: str) -> bytes:
        """The beginning of every key of a generation's groups; the number of a group follows."""
        return f"{self.prefix}:{self.name}:{{{generation}.".encode()


class KeyOwner(NamedTuple):
    """The name that a key belongs to, and the generation, if it belongs to one."""

    name: str
    generation: str | None


def key_parser(prefix: str, data_endings: Iterable[bytes]) -> Callable[[bytes], KeyOwner | None]:
    """A function that says whose key it is, the inverse of `Keys`; None for what has not exactly the form of ours.

    `data_endings` is what data keys have after the base of their generation, with %d for each number.
    """
    endings = (JOURNAL, *data_endings)
    data = "|".join(re.escape(ending.decode()).replace("%d", _NUMBER) for ending in endings)
    control = rf"\{{({_NAME})\}}:(?:meta|load|trash|scratch)"
    form = re.compile(rf"{re.escape(prefix)}:(?:({_NAME}):\{{({_GENERATION})\.(?:{data})|{control})".encode())

    def owner(key: bytes) -> KeyOwner | None:
        match = form.fullmatch(key)
        if match is None:
            return None
        return KeyOwner((match[1] or match[3]).decode(), match[2].decode() if match[2] else None)

    return owner
