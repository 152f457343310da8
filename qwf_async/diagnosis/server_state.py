"""What a server says of itself, as lines of a diagnosis. Pure, but for the question of the time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ..errors import OutOfMemory
from ..events import ServerFacts
from ..human import duration, share, size
from ..server.memory import MemorySample
from ..server.policy import Finding, findings
from .check import Check, fit, unfit, unknown

MAX_CLOCK_DIFFERENCE: Final = 5.0
"""Seconds by which a server's clock may differ from ours: ages, and claims on names, are told by both."""

OLDEST: Final = (7, 0)
"""The oldest Redis that this package works with."""

SUBJECTS: Final = {"maxmemory": "memory limit", "maxmemory-policy": "policy"}
"""The setting that cures a finding → the subject of its line."""


def version_check(facts: ServerFacts) -> Check:
    """Which server it is, and whether it is new enough."""
    text = f"{facts.software or 'unknown'} {facts.version or ''}".strip() + f" at {facts.where}"
    if facts.version is None or not facts.version.split(".")[0].isdecimal():
        return unknown("server", f"{text} does not say its version")
    numbers = tuple(int(part) for part in facts.version.split(".")[:2] if part.isdecimal())
    if facts.software == "redis" and numbers < OLDEST:
        return unfit("server", f"{text} is too old", "install Redis 7.0 or later, or Valkey")
    return fit("server", f"{text}, up for {duration(facts.uptime or 0)}")


def memory_checks(
    facts: ServerFacts, sample: MemorySample | None, *, high_watermark: float, sharing: int, cli: str
) -> Iterator[Check]:
    """How full it is, and what its settings make of that. `cli` is the command line of redis-cli there."""
    full = OutOfMemory.exit_code
    if sample is None:
        yield unknown("memory", "the server forbids INFO", "allow it: qwf server acl")
    elif (bound := sample.tightest) is None:
        yield fit("memory", f"{size(sample.used)} in use")
    elif bound.fill >= high_watermark:
        yield unfit("memory", str(bound), "qwf clean; or a larger maxmemory", code=full)
    else:
        yield fit("memory", f"{bound}; an ingest may fill {share(high_watermark)}")
    found = findings(facts, sharing=sharing)
    for finding in found:
        setting = finding.cure[0][0] if finding.cure else ""
        yield unfit(
            SUBJECTS.get(setting, "settings"),
            finding.text,
            _commands(finding, cli),
            code=full if finding.loses_data else 1,
        )
    if facts.policy and not any(finding.loses_data for finding in found):
        yield fit("policy", f"maxmemory-policy {facts.policy}")


def _commands(finding: Finding, cli: str) -> str:
    return " && ".join(f"{cli} CONFIG SET {setting} {value}" for setting, value in finding.cure)


def persistence_check(facts: ServerFacts, info: Mapping[str, str], *, embedded: str, cli: str) -> Check:
    """What is left after the server has ended; `embedded` is the directory to which our own server saves."""
    for entry, what in (("rdb_last_bgsave_status", "save"), ("aof_last_write_status", "append-only file")):
        if info.get(entry, "ok") != "ok":
            return unfit("persistence", f"the last {what} failed: see the server's log, and its disk")
    if embedded:
        return fit("persistence", f"saved to {embedded} after each change")
    if facts.settings is None:
        return unknown("persistence", "the server forbids CONFIG GET", "allow it: +config|get")
    if facts.durability == "memory":
        cure = f"{cli} CONFIG SET appendonly yes"
        return unfit("persistence", "in memory alone: all is lost when the server ends", cure)
    return fit("persistence", facts.durability)


def clock_check(ahead: float) -> Check:
    """How many seconds the server's clock is ahead of ours."""
    if abs(ahead) <= MAX_CLOCK_DIFFERENCE:
        return fit("clock", f"the server's differs by {duration(abs(ahead))}")
    way = "ahead of" if ahead > 0 else "behind"
    text = f"the server's is {duration(abs(ahead))} {way} this machine's"
    return unfit("clock", text, "timedatectl set-ntp true, there and here")
