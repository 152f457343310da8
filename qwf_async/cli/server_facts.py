"""What `qwf server` prints of the embedded server and of its shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..human import count, duration, size

if TYPE_CHECKING:
    from ..embedded.servers import EmbeddedServers
    from ..embedded.status import RunningServer, ServerStatus

HUMAN: Final[Mapping[str, tuple[str, Callable[[Any], str]]]] = {
    "uptime_seconds": ("uptime", duration),
    "keys": ("keys", count),
    "memory_used": ("memory used", size),
    "maxmemory": ("maxmemory", size),
    "huge_pages": ("huge pages", size),
}
"""Fact → its label, and how its number is shown to people."""


def started_text(servers: EmbeddedServers) -> str:
    """One line on what was started, and what was running before."""
    if len(servers.shards) == 1:
        state = "started; it stays until 'qwf server stop'" if servers.started else "was running already"
        return f"embedded server (process {servers.shards[0].pid}) {state}"
    started = sum(shard.started for shard in servers.shards)
    state = (
        f"{started} of them started now; they stay until 'qwf server stop'" if started else "running already"
    )
    return f"embedded server in {len(servers.shards)} shards, {state}"


def shard_facts(server: RunningServer) -> dict[str, Any]:
    """Where a server is, and what it is, for JSON."""
    return {
        "url": server.url,
        "socket": str(server.socket),
        "pid": server.pid,
        "binary": server.binary,
        "data_dir": str(server.data_dir),
    }


def status_json(states: Mapping[Path, ServerStatus | None]) -> dict[str, Any]:
    """The status for JSON: of one server as it is, of several as a list, in which those that are down are, too."""
    if len(states) == 1:
        (state,) = states.values()
        return {"running": False} if state is None else {"running": True, **_facts(state)}
    shards = [
        {"running": False, "data_dir": str(place)} if state is None else {"running": True, **_facts(state)}
        for place, state in states.items()
    ]
    return {"running": all(shard["running"] for shard in shards), "shards": shards}


def status_lines(directory: Path, states: Mapping[Path, ServerStatus | None]) -> Iterator[str]:
    """The status as lines: a fact each for one server, a row each for several."""
    live = [state for state in states.values() if state is not None]
    if not live:
        yield f"not running (data directory {directory})"
    elif len(states) == 1:
        for name, fact in _facts(live[0]).items():
            if fact is not None:
                label, words = HUMAN.get(name, (name.replace("_", " "), str))
                yield f"{label:<16}{words(fact)}"
    else:
        yield from _rows(states)
        down = len(states) - len(live)
        state = f"{down} not running; 'qwf server start' starts what does not run" if down else "all run"
        yield f"{len(states)} shards in {directory}: {state}"


def _rows(states: Mapping[Path, ServerStatus | None]) -> Iterator[str]:
    yield f"{'shard':<9} {'process':>8} {'keys':>9} {'memory used':>13} {'maxmemory':>13}  url"
    for place, state in states.items():
        if state is None:
            yield f"{place.name:<9} {'-':>8} {'-':>9} {'-':>13} {'-':>13}  not running"
        else:
            used, limit = size(state.memory_used), size(state.maxmemory)
            numbers = f"{state.server.pid:>8} {count(state.keys):>9} {used:>13} {limit:>13}"
            yield f"{place.name:<9} {numbers}  {state.server.url}"


def _facts(state: ServerStatus) -> dict[str, Any]:
    return {
        **shard_facts(state.server),
        "version": state.version,
        "uptime_seconds": state.uptime,
        "keys": state.keys,
        "memory_used": state.memory_used,
        "maxmemory": state.maxmemory,
        "allocator": state.allocator.name,
        "huge_pages": state.allocator.huge_pages,
    }
