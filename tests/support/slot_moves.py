"""Slots of a local cluster moved from one primary to another: key by key, or at once as Valkey 9 can."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from typing import Any, Final

from tests.support.cluster_node import ClusterNode, wait_until

KEYS_AT_ONCE: Final = 100
"""Keys of one MIGRATE."""


def begin_move(slot: int, source: ClusterNode, target: ClusterNode) -> None:
    """From here on the slot is MIGRATING: for a key that is not there any more, the source replies ASK."""
    target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
    source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)


def move_keys(slot: int, source: ClusterNode, target: ClusterNode) -> None:
    """Move all keys that a slot has now."""
    _send_keys(source.call, slot, target)


def _send_keys(ask: Callable[..., Any], slot: int, target: ClusterNode) -> None:
    while keys := ask("CLUSTER", "GETKEYSINSLOT", slot, KEYS_AT_ONCE):
        ask("MIGRATE", "127.0.0.1", target.port, "", 0, 60_000, "KEYS", *keys)


def end_move(slot: int, target: ClusterNode, others: Collection[ClusterNode]) -> None:
    """The slot is the target's now; `others` are all other primaries, which are told."""
    for node in (target, *others):
        node.call("CLUSTER", "SETSLOT", slot, "NODE", target.id)


def move_by_keys(
    slots: Sequence[int], source: ClusterNode, target: ClusterNode, others: Collection[ClusterNode]
) -> None:
    """Move slots with their keys, one after the other; `others` are all other primaries, which are told."""
    with ExitStack() as connections:
        sends, takes = (connections.enter_context(node.plain) for node in (source, target))
        told = [takes, sends, *(connections.enter_context(node.plain) for node in others)]
        for slot in slots:
            takes.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
            sends.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
            _send_keys(sends.execute_command, slot, target)
            for client in told:
                client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target.id)


def move_atomically(slots: Sequence[int], source: ClusterNode, target: ClusterNode) -> None:
    """Valkey 9's CLUSTER MIGRATESLOTS; returns when it has succeeded.

    Raises RuntimeError with the reply if it failed.
    """
    words = [word for first, last in ranges(slots) for word in (first, last)]
    before = {migration[b"name"] for migration in migrations(source)}
    source.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", *words, "NODE", target.id)
    (name,) = {migration[b"name"] for migration in migrations(source)} - before

    def has_ended() -> bool:
        (migration,) = (one for one in migrations(source) if one[b"name"] == name)
        if migration[b"state"] in {b"failed", b"cancelled"}:
            raise RuntimeError(str(migration))
        return bool(migration[b"state"] == b"success")

    wait_until(has_ended, "CLUSTER MIGRATESLOTS")


def migrations(node: ClusterNode) -> list[dict[bytes, bytes]]:
    """Atomic moves of slots that a node remembers."""
    replies = node.call("CLUSTER", "GETSLOTMIGRATIONS")
    return [dict(zip(reply[::2], reply[1::2], strict=True)) for reply in replies]


def ranges(slots: Collection[int]) -> list[tuple[int, int]]:
    """The first and last of each run of consecutive slots."""
    found: list[tuple[int, int]] = []
    for slot in sorted(slots):
        if found and found[-1][1] == slot - 1:
            found[-1] = (found[-1][0], slot)
        else:
            found.append((slot, slot))
    return found
