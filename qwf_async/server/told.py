"""What a server's replies to INFO and CONFIG GET say of it, as `ServerFacts`. Pure.

The lines of INFO are those of Redis 7 and of Valkey. What a server leaves out is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..events import PrimaryLink, ReplicaLink, ServerFacts
from .info import whole_number


def facts_of(
    where: str, info: Mapping[str, str], settings: dict[str, str] | None, forbidden: tuple[str, ...]
) -> ServerFacts:
    """The facts in what a server said of itself. What it refused to say is `forbidden`."""

    def number(name: str) -> int | None:
        return whole_number(info.get(name, ""))

    def is_ok(name: str) -> bool | None:
        return info[name] == "ok" if name in info else None

    limit = number("maxmemory")
    policy = info.get("maxmemory_policy")
    if settings is not None:
        limit = whole_number(settings["maxmemory"]) if "maxmemory" in settings else limit
        policy = settings.get("maxmemory-policy", policy)
    aof_rewriting = info.get("aof_rewrite_in_progress") == "1"
    return ServerFacts(
        where=where,
        software=info.get("server_name") or ("redis" if "redis_version" in info else None),
        version=info.get("valkey_version") or info.get("redis_version"),
        allocator=info.get("mem_allocator"),
        role=info.get("role"),
        used=number("used_memory"),
        limit=limit or None,
        machine=number("total_system_memory"),
        peak=number("used_memory_peak"),
        rss=number("used_memory_rss"),
        fragmentation=_decimal(info.get("mem_fragmentation_ratio", "")),
        policy=policy,
        settings=settings,
        loading=info.get("loading") == "1",
        saving=info.get("rdb_bgsave_in_progress") == "1" or aof_rewriting,
        changes_since_save=number("rdb_changes_since_last_save"),
        last_save=number("rdb_last_save_time"),
        last_save_ok=is_ok("rdb_last_bgsave_status"),
        aof=info["aof_enabled"] == "1" if "aof_enabled" in info else None,
        aof_rewriting=aof_rewriting,
        aof_write_ok=is_ok("aof_last_write_status"),
        clients=number("connected_clients"),
        blocked_clients=number("blocked_clients"),
        max_clients=whole_number((settings or {}).get("maxclients", "")) or number("maxclients"),
        replicas=number("connected_slaves"),
        replica_links=tuple(_replica_links(info)),
        primary_link=_primary_link(info),
        rejected=number("rejected_connections"),
        uptime=number("uptime_in_seconds"),
        commands=number("total_commands_processed"),
        commands_per_second=number("instantaneous_ops_per_sec"),
        input_rate=_decimal(info.get("instantaneous_input_kbps", "")),
        output_rate=_decimal(info.get("instantaneous_output_kbps", "")),
        input_bytes=number("total_net_input_bytes"),
        output_bytes=number("total_net_output_bytes"),
        hits=number("keyspace_hits"),
        misses=number("keyspace_misses"),
        evicted=number("evicted_keys"),
        expired=number("expired_keys"),
        forbidden=forbidden,
    )


def _replica_links(info: Mapping[str, str]) -> Iterator[ReplicaLink]:
    """The lines `slave0:ip=10.0.0.2,port=6379,state=online,offset=123,lag=0` of a primary."""
    written = whole_number(info.get("master_repl_offset", ""))
    for number in range(whole_number(info.get("connected_slaves", "")) or 0):
        line = info.get(f"slave{number}")
        if line is None:
            return
        told = dict(part.split("=", 1) for part in line.split(",") if "=" in part)
        has, is_online = whole_number(told.get("offset", "")), told.get("state") == "online"
        yield ReplicaLink(
            where=_place(told.get("ip", ""), told.get("port", "")),
            state=told.get("state", "unknown"),
            lag_bytes=None if written is None or has is None else max(0, written - has),
            lag_seconds=whole_number(told.get("lag", "")) if is_online else None,
        )


def _primary_link(info: Mapping[str, str]) -> PrimaryLink | None:
    """What a replica says of its primary. Numbers are negative where there is nothing to count yet."""
    if "master_host" not in info:
        return None
    is_up = info.get("master_link_status") == "up"
    received, applied = (
        whole_number(info.get(name, "")) for name in ("slave_read_repl_offset", "slave_repl_offset")
    )
    since = "master_last_io_seconds_ago" if is_up else "master_link_down_since_seconds"
    return PrimaryLink(
        where=_place(info["master_host"], info.get("master_port", "")),
        is_up=is_up,
        syncing=info.get("master_sync_in_progress") == "1",
        lag_bytes=None if received is None or applied is None else max(0, received - applied),
        silent_seconds=whole_number(info.get(since, "")),
    )


def _place(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _decimal(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
