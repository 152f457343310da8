"""Whether a server is fit for stored data, and which settings would make it so.

The settings of a server belong to its owner. `findings` only looks at them. `configure` changes
those that the findings name, and is called only when the user asked for it.
"""

from __future__ import annotations

from collections.abc import Iterable
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


def findings(facts: ServerFacts) -> list[Finding]:
    """What makes the server unfit, the most serious first. Pure."""
    unfit = []
    policy = facts.policy or ""
    if policy.startswith("allkeys"):
        text = f"maxmemory-policy {policy} evicts whole hashes of stored data without a word"
        unfit.append(Finding(text=text, cure=(("maxmemory-policy", "noeviction"),), loses_data=True))
    if facts.role == "slave":
        unfit.append(Finding(text="this server is a replica; its primary takes the writes"))
    if facts.limit is None and facts.used is not None:
        cure = (("maxmemory", str(facts.machine * 3 // 4)),) if facts.machine else ()
        unfit.append(
            Finding(text="the server has no maxmemory; the machine's memory is its limit", cure=cure)
        )
    entries = (facts.settings or {}).get("hash-max-listpack-entries", "")
    if entries.isdecimal() and int(entries) > LISTPACK_ENTRIES:
        text = f"hash-max-listpack-entries {entries} makes small hashes slow to fill"
        unfit.append(Finding(text=text, cure=(("hash-max-listpack-entries", str(LISTPACK_ENTRIES)),)))
    return unfit


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
