"""Predicates that say whether a reply is what its command gives: each reply is looked at once.

Replies that are out of step, and peers that are no server, show in the kind of a reply or
in its length. `Connection.error_of` says what becomes of one that is not as it should be.
Of values read in bulk only the first is looked at here; `wire.codec.joined` sees them all.
"""

from __future__ import annotations

from typing import Any, TypeGuard


def is_anything(reply: Any) -> TypeGuard[Any]:
    return True


def is_number(reply: Any) -> TypeGuard[int]:
    return isinstance(reply, int)


def is_number_or_none(reply: Any) -> TypeGuard[int | None]:
    return isinstance(reply, int | None)


def is_text(reply: Any) -> TypeGuard[bytes]:
    return isinstance(reply, bytes)


def is_text_or_none(reply: Any) -> TypeGuard[bytes | None]:
    return isinstance(reply, bytes | None)


def is_texts(reply: Any) -> TypeGuard[list[bytes]]:
    return isinstance(reply, list) and all(isinstance(item, bytes) for item in reply)


def is_texts_or_none(reply: Any) -> TypeGuard[list[bytes | None]]:
    """A list of texts, some perhaps missing, as of HMGET."""
    return isinstance(reply, list) and all(isinstance(item, bytes | None) for item in reply)


def is_pairs(reply: Any) -> TypeGuard[list[bytes]]:
    """Names and values in turn, as of HGETALL."""
    return is_texts(reply) and len(reply) % 2 == 0


def is_page(reply: Any) -> TypeGuard[tuple[bytes, list[bytes]]]:
    """A cursor, then names and values in turn, as of HSCAN."""
    return isinstance(reply, list) and len(reply) == 2 and is_cursor(reply[0]) and is_pairs(reply[1])


def is_scanned(reply: Any) -> TypeGuard[tuple[bytes, list[bytes]]]:
    """A cursor, then keys, as of SCAN."""
    return isinstance(reply, list) and len(reply) == 2 and is_cursor(reply[0]) and is_texts(reply[1])


def is_cursor(reply: Any) -> TypeGuard[bytes]:
    return is_text(reply) and reply.isdigit()


def are_values(reply: Any, count: int) -> TypeGuard[list[bytes | None]]:
    """A reply to HMGET of `count` fields, by its length and its first value: there may be many."""
    return isinstance(reply, list) and len(reply) == count > 0 and is_text_or_none(reply[0])
