"""Whether a server is fit for stored data, and which settings would make it so.

The settings of a server belong to its owner. `findings` only looks at them. `configure` changes
those that the findings name, and is called only when the user asked for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ..client.node import Node
from ..client.reply import is_text
from ..events import ServerFacts

LISTPACK_ENTRIES: Final = 512
"""Fields of a listpack above which insertions are slow: the cost of one grows with the length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that makes a server unfit: in words, with the settings that cure it and what it does to the data."""

    text: str
    cure: tuple[tuple[str, str], ...] = ()
    loses_data: bool = False
    wastes_memory: bool = False


def findings(facts: ServerFacts, *, sharing: int = 1, connections: int = 0) -> list[Finding]:
    """What makes the server unfit, the most serious first. Pure.

    So many servers are `sharing` its machine; so many `connections` to it are wished for.
    """
    unfit = []
    policy = facts.policy or ""
    if policy.startswith("allkeys"):
        text = f"maxmemory-policy {policy} evicts whole hashes of stored data without a word"
        unfit.append(Finding(text=text, cure=(("maxmemory-policy", "noeviction"),), loses_data=True))
    if facts.role == "slave":
        unfit.append(Finding(text="this server is a replica; its primary takes the writes"))
    if facts.loading:
        unfit.append(Finding(text="the server is still loading its data: it is waited for"))
    if facts.limit is None and facts.used is not None:
        cure = (("maxmemory", str(facts.machine * 3 // 4 // sharing)),) if facts.machine else ()
        unfit.append(
            Finding(text="the server has no maxmemory; the machine's memory is its limit", cure=cure)
        )
    entries = (facts.settings or {}).get("hash-max-listpack-entries", "")
    if entries.isdecimal() and int(entries) > LISTPACK_ENTRIES:
        text = f"hash-max-listpack-entries {entries} makes small hashes slow to fill"
        unfit.append(Finding(text=text, cure=(("hash-max-listpack-entries", str(LISTPACK_ENTRIES)),)))
    if facts.max_clients is not None and facts.clients is not None:
        room = max(0, facts.max_clients - facts.clients)
        if room < connections:
            text = (
                f"maxclients {facts.max_clients:,} leaves room for {room} more connections, and {connections} "
                "are wished for: they wait for one another"
            )
            unfit.append(Finding(text=text))
    return unfit


def cluster_findings(facts: ServerFacts) -> list[Finding]:
    """What of a primary makes its cluster unfit, besides what `findings` says of it as a server. Pure."""
    if facts.replicas != 0:
        return []
    covered = (facts.settings or {}).get("cluster-require-full-coverage") == "yes"
    stops = (
        ", and until it is back the whole cluster stops (cluster-require-full-coverage yes)"
        if covered
        else ""
    )
    return [Finding(text=f"no replica is connected: what this node has is lost with it{stops}")]


def different_software(every: Sequence[ServerFacts]) -> str | None:
    """What is said of nodes that differ in software or version; None if they do not. Pure."""
    places: dict[str, list[str]] = defaultdict(list)
    for facts in every:
        if facts.software is not None:
            places[f"{facts.software} {facts.version or ''}".strip()].append(facts.where)
    if len(places) < 2:
        return None
    words = "; ".join(f"{software} ({shortened(where)})" for software, where in sorted(places.items()))
    return f"the nodes have different software, and may differ in what they take and refuse: {words}"


def shortened(places: Sequence[str]) -> str:
    """Names of nodes as one text: of many, the first three and how many more there are."""
    more = len(places) - 3
    return ", ".join(places[:3]) + (f" and {more} more" if more > 0 else "")


def listpack_findings(facts: ServerFacts, *, fields: int, value_bytes: int) -> list[Finding]:
    """What keeps hashes of so many fields, with values of so many bytes, from being listpacks. Pure.

    A server that does not tell its settings counts as fit.
    """
    unfit = []
    for setting, needed, subject in (
        ("hash-max-listpack-entries", fields, f"the {fields} points of a bucket: buckets become hash tables"),
        (
            "hash-max-listpack-value",
            value_bytes,
            f"the {value_bytes} bytes of a value: buckets become hash tables when they are written by HSET, "
            "and when a point is changed",
        ),
    ):
        limit = (facts.settings or {}).get(setting, "")
        if limit.isdecimal() and int(limit) < needed:
            text = f"{setting} {limit} is below {subject}, and take two to three times the memory"
            unfit.append(Finding(text=text, cure=((setting, str(needed)),), wastes_memory=True))
    return unfit


async def configure(node: Node, unfit: Iterable[Finding]) -> list[str]:
    """Apply the cures with CONFIG SET, and give what was set, as texts. Raises Refused if the server forbids it."""
    done = []
    for finding in unfit:
        for setting, value in finding.cure:
            await node.call("CONFIG", "SET", setting, value, expect=is_text, doing=f"setting {setting}")
            done.append(f"{setting} {value}")
    return done
