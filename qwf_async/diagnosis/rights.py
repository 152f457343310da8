"""What a server's access control lets this user do, found without changing anything.

Within MULTI a server checks the right to each command, and carries out none. So every command that is
needed is queued there, and the connection is closed. A user without the right to MULTI tries only
commands that change nothing where no key is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from redis.exceptions import NoPermissionError

from ..client.pool import Pool
from ..errors import Refused
from ..server.acl import (
    CLUSTER,
    CONFIRMING,
    FENCING,
    READING,
    RESTORE,
    STUDY_READING,
    STUDY_WRITING,
    WRITING,
)
from .check import Check, fit, unfit

Words = tuple[str | int, ...]

_KEY: Final = "KEY"
"""Where the key stands in a request."""

REQUESTS: Final[Mapping[str, Words]] = {
    "ping": ("PING",),
    "info": ("INFO",),
    "time": ("TIME",),
    "eval_ro": ("EVAL_RO", "return 1", 1, _KEY),
    "hkeys": ("HKEYS", _KEY),
    "hget": ("HGET", _KEY, "f"),
    "hgetall": ("HGETALL", _KEY),
    "hmget": ("HMGET", _KEY, "f"),
    "dump": ("DUMP", _KEY),
    "hlen": ("HLEN", _KEY),
    "memory|usage": ("MEMORY", "USAGE", _KEY),
    "object|encoding": ("OBJECT", "ENCODING", _KEY),
    "eval": ("EVAL", "return 1", 1, _KEY),
    "hdel": ("HDEL", _KEY, "f"),
    "hscan": ("HSCAN", _KEY, 0),
    "exists": ("EXISTS", _KEY),
    "del": ("DEL", _KEY),
    "unlink": ("UNLINK", _KEY),
    "client|id": ("CLIENT", "ID"),
    "client|kill": ("CLIENT", "KILL", "ID", 0),  # there is no client 0
    "wait": ("WAIT", 0, 0),
    "evalsha_ro": ("EVALSHA_RO", "0" * 40, 1, _KEY),
    "evalsha": ("EVALSHA", "0" * 40, 1, _KEY),
    "llen": ("LLEN", _KEY),
    "lindex": ("LINDEX", _KEY, 0),
    "lrange": ("LRANGE", _KEY, 0, 0),
    "get": ("GET", _KEY),
    "hexists": ("HEXISTS", _KEY, "f"),
    "ltrim": ("LTRIM", _KEY, 0, 0),
    "restore": ("RESTORE", _KEY, 0, "no dump"),
    "cluster|slots": ("CLUSTER", "SLOTS"),
    "asking": ("ASKING",),
    "readonly": ("READONLY",),
}
"""Command, as an ACL names it → a request that changes nothing where no key is."""

CHANGING: Final[Mapping[str, Words]] = {
    "hset": ("HSET", _KEY, "f", "v"),
    "hsetnx": ("HSETNX", _KEY, "f", "v"),
    "rpush": ("RPUSH", _KEY, "v"),
    "set": ("SET", _KEY, "v"),
}
"""The same for commands that would make a key: they are only queued."""


async def forbidden_commands(pool: Pool, prefix: str) -> set[str]:
    """The commands that are needed, and that the server does not let this user give to keys of the prefix.

    Raises ServerUnavailable.
    """
    key = f"{prefix}:{{doctor}}:probe"
    async with pool.connection(pool.node_of(key)) as connection:
        try:
            (begun,) = await connection.pipeline([("MULTI",)])
            requests = {**REQUESTS, **CHANGING} if begun == b"OK" else REQUESTS
            if not pool.is_cluster:
                requests = {name: words for name, words in requests.items() if name not in CLUSTER}
            replies = await connection.pipeline(
                [tuple(key if word == _KEY else word for word in words) for words in requests.values()]
            )
        finally:
            connection.close()  # what was queued is thrown away
    found = {
        name for name, reply in zip(requests, replies, strict=True) if isinstance(reply, NoPermissionError)
    }
    return found | ({"multi"} if isinstance(begun, NoPermissionError) else set())


def rights_check(forbidden: set[str], user: str) -> Check:
    """What a user without these rights can and cannot do. Pure."""

    def lacking(*groups: tuple[str, ...]) -> list[str]:
        return sorted({name for group in groups for name in group} & forbidden)

    def cure(missing: list[str]) -> str:
        return (
            f"redis-cli ACL SETUSER {user} {' '.join(f'+{name}' for name in missing)}   (all: qwf server acl)"
        )

    code = Refused.exit_code
    if missing := lacking(READING, CLUSTER):
        return unfit("rights", f"{user} may not even read: {', '.join(missing)}", cure(missing), code=code)
    if missing := lacking(WRITING):
        return unfit(
            "rights", f"{user} may read, and not write: {', '.join(missing)}", cure(missing), code=code
        )
    less = [
        (lacking(RESTORE), "layout packed is slower to write"),
        (lacking(FENCING), "late bytes of a broken connection cannot be kept out"),
        (lacking(CONFIRMING), "replicas cannot confirm"),
        (lacking(STUDY_READING, STUDY_WRITING), "no studies"),
    ]
    without = [f"{what} (no {', '.join(missing)})" for missing, what in less if missing]
    text = f"{user} may read and write" + (f"; {'; '.join(without)}" if without else ", and all else")
    return fit(
        "rights", text, cure(sorted({name for missing, _ in less for name in missing})) if without else ""
    )
