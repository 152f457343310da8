"""Rules of access control for the users of a server: what `qwf` needs to be allowed, and nothing else."""

from __future__ import annotations

from typing import Final

READING: Final = (
    "ping", "info", "time", "eval_ro", "hkeys", "hget", "hgetall", "hmget", "dump", "hlen", "memory|usage",
    "object|encoding",
)  # fmt: skip
"""Commands of everything that only reads: ls, info, get, slice, observe, plot, export, verify."""

WRITING: Final = ("eval", "hset", "hdel", "hscan", "exists", "del", "unlink")
"""Commands that ingest, resume, set, rm, clean, watch and estimate need besides."""

RESTORE: Final = ("restore", "multi", "exec")
"""Commands that make layout packed fast to write. If one is missing, qwf says so and writes by HSET."""

FENCING: Final = ("client|id", "client|kill")
"""Commands that keep late bytes of a broken connection from being applied (`client.fence`); without them qwf goes
on unfenced. The second lets the user end other clients' connections, too: servers have no narrower right."""


STUDY_READING: Final = ("evalsha_ro", "exists", "llen", "lindex", "lrange")
"""Commands that studies need besides for everything that only reads."""

STUDY_WRITING: Final = ("evalsha", "get", "hexists", "hsetnx", "ltrim", "rpush", "set")
"""Commands that studies need besides for jobs, and to be made, merged and removed."""

CONFIRMING: Final = ("wait",)
"""The command by which replicas confirm what they have; without it a report says that they have not."""


CLUSTER: Final = ("cluster|slots", "asking", "readonly")
"""Commands that a cluster needs besides: who has which slot, a slot that is on its way, and reading from replicas."""


def reader(prefix: str) -> list[str]:
    """The rules of a user that may read what is stored under a key prefix, for ACL SETUSER."""
    return _rules(f"%R~{prefix}:*", (*READING, *STUDY_READING, *CLUSTER))


def writer(prefix: str) -> list[str]:
    """The rules of a user that may do everything that qwf does under a key prefix, for ACL SETUSER."""
    commands = (*READING, *WRITING, *STUDY_READING, *STUDY_WRITING, *RESTORE, *FENCING, *CONFIRMING, *CLUSTER)
    return _rules(f"~{prefix}:*", tuple(dict.fromkeys(commands)))


def _rules(keys: str, commands: tuple[str, ...]) -> list[str]:
    return ["reset", "on", keys, *(f"+{command}" for command in commands)]
