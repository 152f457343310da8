"""What servers say about themselves: their memory, eviction policy, persistence and limits.

A server that forbids INFO or CONFIG is no error. What it does not tell is None, and
`forbidden` names the commands that it refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Final

from ..client.every_node import ask_each, slot_counts
from ..client.node import Node
from ..client.pool import Pool
from ..client.reply import is_pairs, is_text
from ..client.retry import until_available
from ..errors import Refused
from ..events import ServerFacts
from .info import parse_info, settings_of
from .slow_log import ENTRIES, is_slow_log
from .told import facts_of
from .totals import totals

SETTINGS: Final = (
    "maxmemory", "maxmemory-policy", "hash-max-listpack-entries", "hash-max-listpack-value",
    "save", "appendonly", "appendfsync", "proto-max-bulk-len", "client-query-buffer-limit", "maxclients",
    "cluster-require-full-coverage",
)  # fmt: skip
"""What CONFIG GET is asked for."""

_OF_SAMPLES: Final = ("recent", "slow_log", "slow_commands")
"""Facts that only `sampling.Sampler` finds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The replies of a server: None for what it was not asked, or refused (`forbidden`)."""

    info: dict[str, str] | None = None
    settings: dict[str, str] | None = None
    slow_log: list[list[Any]] | None = None
    forbidden: tuple[str, ...] = ()


async def ask(pool: Pool, node: Node, *, settings: bool, slow_log: bool) -> Told:
    """Ask a server for INFO, and for its settings and its slow log, in one exchange that is not tried again.

    Raises ServerUnavailable if the server is away; a refusal is noted, not raised.
    """
    # INFO without a section: what it leaves out (statistics of each command) nobody here reads.
    questions: dict[str, tuple[list[str | int], Any]] = {"INFO": (["INFO"], is_text)}
    if settings:
        questions["CONFIG"] = (["CONFIG", "GET", *SETTINGS], is_pairs)
    if slow_log:
        questions["SLOWLOG"] = (["SLOWLOG", "GET", ENTRIES], is_slow_log)
    replies: dict[str, Any] = {}
    async with pool.connection(node) as connection:
        came = await connection.pipeline([command for command, _ in questions.values()])
        for (name, (_, expect)), reply in zip(questions.items(), came, strict=True):
            try:
                replies[name] = connection.expected(reply, expect, doing=name)
            except Refused:
                continue
    return Told(
        info=parse_info(replies["INFO"]) if "INFO" in replies else None,
        settings=settings_of(replies["CONFIG"]) if "CONFIG" in replies else None,
        slow_log=replies.get("SLOWLOG"),
        forbidden=tuple(name for name in questions if name not in replies),
    )


async def learn(pool: Pool, node: Node) -> ServerFacts:
    """The facts that INFO and CONFIG GET give, each asked once; a refusal is noted, not raised.

    Raises ServerUnavailable if the server is away.
    """
    told = await ask(pool, node, settings=True, slow_log=False)
    facts = facts_of(node.address.shown, told.info or {}, told.settings, told.forbidden)
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
        return {name: value for name, value in _json(facts).items() if name not in ("where", "slots")}
    return totals(every) | {"nodes": [_json(facts) | {"durability": facts.durability} for facts in every]}


def _json(facts: ServerFacts) -> dict[str, Any]:
    """Facts of one moment: without those that only come of looking again and again."""
    fields = asdict(facts) | {"hit_rate": facts.hit_rate}
    return {name: value for name, value in fields.items() if name not in _OF_SAMPLES}
