"""What a monitor says of servers, in words: a list of facts for each section, with a style where something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from ..human import age, count, counted, duration, share, size

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..events import LoadSampled, ServerFacts, SlowCommand, SpoolSampled
    from .text_rows import Cell

WARN: Final = "bold yellow"
BAD: Final = "bold red"
ROLES: Final = {"master": "primary", "slave": "replica"}

PLACE: Final = 21
"""Columns of an address: an IPv4 address with its port, or the end of the path of a socket."""

BAR: Final = 16
"""Columns of a bar."""


def known(value: float | None, words: str = "{}", *, how: Callable[[float], str] = count) -> str:
    """A number in words, or that it is unknown."""
    return words.format("unknown" if value is None else how(value))


def heading(facts: ServerFacts) -> list[Cell]:
    named = f"{facts.software or 'unknown server'} {facts.version or ''}".rstrip()
    role = ROLES.get(facts.role or "", facts.role)
    parts: list[Cell] = [facts.where, named, *([role] if role else [])]
    if facts.uptime is not None:
        parts.append(f"up {duration(facts.uptime)}")
    if facts.loading:
        parts.append(("loading its data", WARN))
    return parts


def bar(part: float, style: str = "") -> tuple[str, str]:
    filled = min(BAR, max(0, round(BAR * part)))
    return "█" * filled + "░" * (BAR - filled), style


def memory(facts: ServerFacts, watermark: float) -> list[Cell]:
    used, fill = known(facts.used, how=size), facts.fill
    if facts.limit is None:
        parts: list[Cell] = [f"{used}, no limit" if facts.used is not None else "unknown"]
    else:
        style = "" if fill is None or fill < watermark else WARN
        filled = "" if fill is None else f" ({share(fill)})"
        parts = [bar(fill, style)] if fill is not None else []
        parts.append((f"{used} of {size(facts.limit)}{filled}", style))
    if facts.peak is not None:
        parts.append(f"peak {size(facts.peak)}")
    if facts.rss is not None:
        parts.append(f"process {size(facts.rss)}")
    if facts.fragmentation is not None:
        parts.append(f"fragmentation {facts.fragmentation:.2f}")
    evicts = (facts.policy or "").startswith("allkeys")
    return [*parts, (f"policy {facts.policy or 'unknown'}", BAD if evicts else "")]


def traffic(facts: ServerFacts) -> list[Cell]:
    recent = facts.recent
    hits = [f"{share(rate)} now" for rate in [recent.hit_rate if recent else None] if rate is not None]
    hits += [f"{share(rate)} in all" for rate in [facts.hit_rate] if rate is not None]
    return [
        known(facts.commands_per_second, "{} commands/s"),
        f"in {rate_of(facts.input_rate)} ({known(facts.input_bytes, how=size)})",
        f"out {rate_of(facts.output_rate)} ({known(facts.output_bytes, how=size)})",
        f"hits {', '.join(hits) or 'unknown'}",
        (f"evicted {more(facts.evicted, recent.evicted if recent else None)}", WARN if facts.evicted else ""),
        f"expired {more(facts.expired, recent.expired if recent else None)}",
    ]


def clients(facts: ServerFacts) -> list[Cell]:
    limit = "" if facts.max_clients is None else f" of {count(facts.max_clients)}"
    news = facts.recent.rejected if facts.recent else None
    return [
        known(facts.clients) + limit,
        known(facts.blocked_clients, "blocked {}"),
        (f"rejected {more(facts.rejected, news)}", BAD if news else WARN if facts.rejected else ""),
    ]


def persistence(facts: ServerFacts, time: float) -> list[Cell]:
    if facts.aof is None:
        return ["unknown"]
    changes = counted(facts.changes_since_save or 0, "change")
    since = "" if facts.last_save is None else f" since the save {age(max(0.0, time - facts.last_save))}"
    rdb: list[Cell] = [f"rdb: {changes}{since}"]
    if facts.last_save_ok is False:
        rdb.append(("rdb: the last save failed", BAD))
    if facts.saving and not facts.aof_rewriting:
        rdb.append(("saving now", WARN))
    if not facts.aof:
        return [*rdb, "aof: off"]
    fsync = (facts.settings or {}).get("appendfsync", "on")
    aof: list[Cell] = [(f"aof: {fsync}", "") if facts.aof_write_ok else ("aof: the last write failed", BAD)]
    return [*rdb, *aof, *([("rewriting now", WARN)] if facts.aof_rewriting else [])]


def replication(facts: ServerFacts) -> list[Cell]:
    """Nothing for a server without replicas that is none."""
    parts: list[Cell] = []
    if (link := facts.primary_link) is not None:
        heard = "" if link.silent_seconds is None else f" {duration(link.silent_seconds)}"
        if link.is_up:
            behind = "" if link.lag_bytes is None else f", {size(link.lag_bytes)} behind"
            parts.append(f"primary {link.where}{behind}, silent for{heard or ' 0 s'}")
        else:
            state = "syncing" if link.syncing else f"down for{heard}" if heard else "down"
            parts.append((f"primary {link.where} {state}", BAD))
    for replica in facts.replica_links:
        lag = "" if replica.lag_bytes is None else f" {size(replica.lag_bytes)} behind"
        heard = "" if replica.lag_seconds is None else f", heard of {age(replica.lag_seconds)}"
        state = "" if replica.state == "online" else f" {replica.state}"
        parts.append((f"replica {replica.where}{state}{lag}{heard}", WARN if state else ""))
    return parts


def connections(counts: Mapping[str, Any]) -> list[Cell]:
    """Those of this process."""
    if not counts:
        return []
    success, reuse = counts["success"], counts["reuse"]
    bad = {name: counts[name] for name in ("failed", "lost", "timeouts", "turned_away") if counts[name]}
    return [
        f"{count(counts['opened'])} opened",
        *([] if reuse is None else [f"reuse {share(reuse)}"]),
        *([] if success is None else [f"success {share(success)}"]),
        *((f"{name.replace('_', ' ')} {count(number)}", WARN) for name, number in bad.items()),
    ]


def load(sample: LoadSampled) -> list[Cell]:
    """Name, share, rate, owner, age."""
    rate = "" if sample.rate is None else f"{count(sample.rate)} points/s"
    state: Cell = sample.owner if sample.held else ("interrupted", WARN)
    began = age(sample.age).removesuffix(" ago")
    return [sample.name, bar(sample.done), share(sample.done), rate if sample.held else "", state, began]


def spool(sample: SpoolSampled) -> list[Cell]:
    if sample.problem:
        return [sample.path, (sample.problem, BAD), size(sample.nbytes)]
    waiting = "chunks unknown" if sample.chunks is None else counted(sample.chunks, "chunk")
    return [sample.path, f"{sample.name}: {waiting}", size(sample.nbytes)]


def slow(command: SlowCommand, time: float) -> list[Cell]:
    arguments = counted(command.arguments, "argument")
    when = age(max(0.0, time - command.time))
    took = "<1 ms" if command.seconds < 1e-3 else duration(command.seconds)
    return [command.command, took, f"{arguments}, {size(command.nbytes)}", when]


def node_heads() -> list[Cell]:
    heads = ("node", "memory", "full", "commands/s", "in", "out", "clients", "hits", "lag", "saving")
    return [(head, "dim") for head in heads]


def node(facts: ServerFacts, watermark: float) -> list[Cell]:
    """A row of a cluster, under `node_heads`."""
    fill = facts.fill
    rate = facts.recent.hit_rate if facts.recent else None
    rate = facts.hit_rate if rate is None else rate
    lags = [each.lag_bytes for each in facts.replica_links if each.lag_bytes is not None]
    return [
        place(facts.where),
        known(facts.used, how=size),
        "" if fill is None else (share(fill), WARN if fill >= watermark else ""),
        known(facts.commands_per_second),
        rate_of(facts.input_rate),
        rate_of(facts.output_rate),
        known(facts.clients),
        "" if rate is None else share(rate),
        size(max(lags)) if lags else "",
        ("failed", BAD) if facts.last_save_ok is False else "yes" if facts.saving else "no",
    ]


def place(where: str) -> str:
    """An address without its scheme; of the path of a socket its end, which tells it from others."""
    shown = where.partition("://")[2] or where
    return f"…{shown[1 - PLACE :]}" if shown.startswith("/") and len(shown) > PLACE else shown


def node_totals(sums: Mapping[str, float | None], facts: Sequence[ServerFacts]) -> list[Cell]:
    used, limit = sums["used"], sums["limit"]
    return [
        (f"all {len(facts)}", "bold"),
        known(used, how=size),
        "" if used is None or not limit else share(used / limit),
        known(sums["commands_per_second"]),
        rate_of(sums["input_rate"]),
        rate_of(sums["output_rate"]),
        known(sums["clients"]),
        "",
        "",
        "",
    ]


def rate_of(kilobytes: float | None) -> str:
    return "unknown" if kilobytes is None else f"{size(1000 * kilobytes)}/s"


def more(total: int | None, recent: int | None) -> str:
    """A count since the server started, with what came since the last sample."""
    return known(total) + (f" (+{count(recent)})" if recent else "")
