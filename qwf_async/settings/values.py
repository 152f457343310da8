"""A value of a setting, checked and converted to its type; and values and bounds as messages show them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from ..errors import UsageError
from .node_map import SYNTAX, node_map_of

_HIDDEN: Final = ("url", "host", "username", "password")
"""Names whose values may hold a password, if only by mistake."""

_SIZE_SETTINGS: Final = ("stream_bytes", "memory_limit", "spool_limit")
_SIZE_UNITS: Final = {
    "": 1, "b": 1, "k": 10**3, "kb": 2**10, "m": 10**6, "mb": 2**20, "g": 10**9, "gb": 2**30
}  # fmt: skip # one line is easier to read than eight
"""Suffixes of sizes, as the server's own `maxmemory` takes them. Source: the head of redis.conf."""

_TYPE_NOUNS: Final = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
}
_BOUND_WORDS: Final = {
    "ge": "at least",
    "gt": "above",
    "le": "at most",
    "min_length": "of length at least",
    "pattern": "matching",
}


def checked_value(name: str, value: object, origin: str, *, kind: Any, text: bool) -> Any:
    """The value of a setting, converted to `kind`; with `text`, numbers may be written as text.

    Raises UsageError if it is not of that type or out of its bounds. The message says so, and
    that the value came from `origin`.
    """
    if name == "node_map":
        return _checked_node_map(value, origin)
    try:
        number = _bytes_of(value) if name in _SIZE_SETTINGS and isinstance(value, str) else value
        return msgspec.convert(number, kind, strict=not text, dec_hook=_path)
    except (msgspec.ValidationError, ValueError, RuntimeError) as error:
        raise UsageError(f"{name} = {shown(name, value)} ({origin}) must be {_bound(name, kind)}") from error


def _checked_node_map(value: object, origin: str) -> dict[str, str]:
    try:
        return node_map_of(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"node_map = {shown('', value)} ({origin}) must be {SYNTAX}: {error}") from error


def shown(name: str, value: object) -> str:
    """The value as a message shows it: on one line, short, and never a password or an endless number."""
    if name in _HIDDEN:
        return "***"
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, str) and len(value) > 60:
        return f"{value[:60]!r}…"
    if isinstance(value, str | int | float | Path):
        return repr(value)
    return f"a {type(value).__name__}"


def _path(_: type, value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError("not a path")
    return Path(value).expanduser()


def _bytes_of(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,18}) ?([a-z]*)", text.lower())
    if match is None or match[2] not in _SIZE_UNITS:
        raise ValueError("not a size")
    return int(match[1]) * _SIZE_UNITS[match[2]]


def _bound(name: str, kind: Any) -> str:
    """The type and bounds of a setting in words: 'a whole number, at least 1, at most 64'."""
    # Optional[Annotated[type, meta]] without its wrappers.
    bare = get_args(kind)[0] if type(None) in get_args(kind) else kind
    if name == "read_from":
        return "primary or replica"
    noun = _TYPE_NOUNS[get_args(bare)[0] if get_args(bare) else bare]
    if name in _SIZE_SETTINGS:
        noun = "a number of bytes, or text such as '512mb'"
    bounds = [
        f"{words} {getattr(meta, limit)}"
        for meta in get_args(bare)[1:]
        for limit, words in _BOUND_WORDS.items()
        if getattr(meta, limit) is not None
    ]
    return ", ".join([noun, *bounds])
