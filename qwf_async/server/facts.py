"""What servers say about themselves: their memory, eviction policy, persistence and limits.

A server that forbids INFO or CONFIG is no error. What it does not tell is None, and
`forbidden` names the commands that it refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Final

from ..client.every_node import ask_each, slot_counts
from ..client.node import Node
from ..client.pool import Pool
from ..client.reply import is_pairs, is_text
from ..client.retry import until_available
from ..errors import Refused
from ..events import ServerFacts
from ..human import share, size

MAX_DIGITS: Final = 20
"""Digits of the largest number that a server counts to: 2**64."""

SETTINGS: Final = (
    "maxmemory", "maxmemory-policy", "hash-max-listpack-entries", "hash-max-listpack-value",
    "save", "appendonly", "appendfsync", "proto-max-bulk-len", "client-query-buffer-limit", "maxclients",
    "cluster-require-full-coverage",
)  # fmt: skip
"""What CONFIG GET is asked for."""

_SUMMED: Final = ("used", "limit", "clients", "rejected", "commands_per_second", "input_rate")
"""Facts of which the sum over several nodes says something."""


async def learn(pool: Pool, node: Node) -> ServerFacts:
    """The facts that INFO and CONFIG GET give, each asked once; a refusal is noted, not raised.

    Raises ServerUnavailable if the server is away.
    """
    forbidden = []
    settings: dict[str, str] | None = None
    async with pool.connection(node) as connection:
        try:
            info = parse_info(await connection.call("INFO", "everything", expect=is_text))
        except Refused:
            info = {}
            forbidden.append("INFO")
        try:
            reply = await connection.call("CONFIG", "GET", *SETTINGS, expect=is_pairs)
        except Refused:
            forbidden.append("CONFIG")
        else:
            settings = settings_of(reply)
    facts = facts_of(node.address.shown, info, settings, tuple(forbidden))
    return replace(facts, slots=slot_counts(pool).get(node))


async def learn_all(pool: Pool) -> dict[Node, ServerFacts]:
    """The facts of each server of a store, in the order of `pool.nodes`.

    Raises ServerUnavailable once the deadline is over, if a server is away until then, and nobody has its place.
    """
    return await until_available(lambda: ask_each(pool, partial(learn, pool)), pool.retry)


def facts_json(every: Sequence[ServerFacts]) -> dict[str, Any]:
    """Facts for a reader: those of one server as they are; of several, sums, and those of each under `nodes`."""
    if len(every) == 1:
        (facts,) = every
        return {name: value for name, value in asdict(facts).items() if name not in ("where", "slots")}
    sums = {
        name: None if None in (values := [getattr(facts, name) for facts in every]) else sum(values)
        for name in _SUMMED
    }
    return sums | {"nodes": [asdict(facts) | {"durability": facts.durability} for facts in every]}


def rows_of(facts: ServerFacts) -> dict[str, str | int | None]:
    """What a reader is shown of a server, by its label: texts with their units, numbers as they are."""
    used = "unknown" if facts.used is None else size(facts.used)
    filled = f" ({share(facts.used / facts.limit)})" if facts.used is not None and facts.limit else ""
    limit = "no limit" if facts.limit is None else f"{size(facts.limit)}{filled}"
    return {
        "server": f"{facts.software or 'unknown'} {facts.version or ''}",
        "memory": f"{used} of {limit}",
        "policy": facts.policy or "unknown",
        **({} if facts.slots is None else {"slots": facts.slots, "replicas": facts.replicas}),
        "clients": facts.clients,
        "rejected": facts.rejected,
        "commands/s": facts.commands_per_second,
        "network in": None if facts.input_rate is None else f"{size(1000 * facts.input_rate)}/s",
        "saving": "yes" if facts.saving else "no",
    }


def parse_info(reply: bytes) -> dict[str, str]:
    """The reply to INFO as a mapping, without section heads and blank lines."""
    lines = reply.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def whole_number(text: str) -> int | None:
    """The number that a text gives; None if it is no number, or has more than MAX_DIGITS digits."""
    return int(text) if text.isdecimal() and len(text) <= MAX_DIGITS else None


def settings_of(reply: Sequence[bytes]) -> dict[str, str]:
    """The reply to CONFIG GET as a mapping."""
    texts = [text.decode(errors="replace") for text in reply]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def facts_of(
    where: str, info: dict[str, str], settings: dict[str, str] | None, forbidden: tuple[str, ...]
) -> ServerFacts:
    """The facts in what a server said of itself. What it refused to say is `forbidden`. Pure."""

    def number(name: str) -> int | None:
        return whole_number(info.get(name, ""))

    software = info.get("server_name") or ("redis" if "redis_version" in info else None)
    limit = number("maxmemory")
    policy = info.get("maxmemory_policy")
    if settings is not None:
        limit = whole_number(settings["maxmemory"]) if "maxmemory" in settings else limit
        policy = settings.get("maxmemory-policy", policy)
    return ServerFacts(
        where=where,
        software=software,
        version=info.get("valkey_version") or info.get("redis_version"),
        allocator=info.get("mem_allocator"),
        role=info.get("role"),
        used=number("used_memory"),
        limit=limit or None,
        machine=number("total_system_memory"),
        policy=policy,
        settings=settings,
        loading=info.get("loading") == "1",
        saving=info.get("rdb_bgsave_in_progress") == "1" or info.get("aof_rewrite_in_progress") == "1",
        clients=number("connected_clients"),
        max_clients=whole_number((settings or {}).get("maxclients", "")) or number("maxclients"),
        replicas=number("connected_slaves"),
        rejected=number("rejected_connections"),
        uptime=number("uptime_in_seconds"),
        commands_per_second=number("instantaneous_ops_per_sec"),
        input_rate=_rate(info.get("instantaneous_input_kbps", "")),
        forbidden=forbidden,
    )


def _rate(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
