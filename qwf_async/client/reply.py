"""Predicates that say whether a reply is what its command gives: each reply is looked at once.

Replies that are out of step, and peers that are no server, show in the kind of a reply or in
its length. `Connection.error_of` makes the error for such a reply. Of values that are read in
bulk only the first is checked here; `wire.codec.joined` checks them all.
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
    """Whether it is a list of texts, with None for those that are missing, as HMGET gives."""
    return isinstance(reply, list) and all(isinstance(item, bytes | None) for item in reply)


def is_pairs(reply: Any) -> TypeGuard[list[bytes]]:
    """Whether it is names and values in turn, as HGETALL gives."""
    return is_texts(reply) and len(reply) % 2 == 0


def is_page(reply: Any) -> TypeGuard[tuple[bytes, list[bytes]]]:
    """Whether it is a cursor, then names and values in turn, as HSCAN gives."""
    return isinstance(reply, list) and len(reply) == 2 and is_cursor(reply[0]) and is_pairs(reply[1])


def is_scanned(reply: Any) -> TypeGuard[tuple[bytes, list[bytes]]]:
    """Whether it is a cursor, then keys, as SCAN gives."""
    return isinstance(reply, list) and len(reply) == 2 and is_cursor(reply[0]) and is_texts(reply[1])


def is_cursor(reply: Any) -> TypeGuard[bytes]:
    return is_text(reply) and reply.isdigit()


def are_values(reply: Any, count: int) -> TypeGuard[list[bytes | None]]:
    """Whether it can be a reply to HMGET of `count` fields, by its length and its first value alone.

    There may be many values, so the others are not looked at.
    """
    return isinstance(reply, list) and len(reply) == count > 0 and is_text_or_none(reply[0])
