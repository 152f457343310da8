"""`python -m benchmarks cluster`: loading into one server, three nodes, three shards, 192 virtual nodes, and peers.

In rounds, in each of which every layout is loaded everywhere, in turn. The cluster has three real
nodes, reached over TCP, as is the one server that it is held against. Shards have unix sockets. The 192
are virtual: each of three servers by 64 addresses of this machine, over TCP, so that the client has the work of
192 nodes. What counts is the CPU time of the client for a point; the rates end where the cores of
this machine do. Peers load a field a point into the same cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import anyio

from qwf_async.client.address import Address
from qwf_async.ingesting.ingestion import ingest
from qwf_async.settings import Settings
from qwf_async.source import array

from . import cluster_peers
from .contest import Turn, in_rounds
from .cost import Clock, Cost
from .fleet import Fleet, fleet, store_at
from .options import keep, options
from .report import Figure, Summary, draw, summarise, table
from .workload import Workload

VIRTUAL: Final = 192
ONE, SHARDS, MANY = "one server", "3 shards", f"{VIRTUAL} virtual nodes"
ONE_TCP, NODES = "one server, TCP", "3 nodes, TCP"
WHERE: Final[dict[str, Callable[[Fleet], Address]]] = {
    ONE: lambda servers: servers.one,
    SHARDS: lambda servers: servers.shards,
    MANY: lambda servers: servers.virtual(VIRTUAL),
    ONE_TCP: lambda servers: servers.one_tcp,
    NODES: lambda servers: servers.cluster,
}
HSET, TILE = "flat by HSET", "tile"
HOW: Final[dict[str, dict[str, Any]]] = {
    HSET: {"layout": "flat", "write_mode": "hset"},
    "flat": {"layout": "flat"},
    "packed": {"layout": "packed"},
    TILE: {"layout": "tile"},
}
PARTS: Final = {"nodes": (NODES, ONE_TCP), "shards": (SHARDS, ONE), "virtual": (MANY, ONE_TCP)}
"""Part of the benchmark → what is held against what."""
PEERS: Final = "peers"
CPU: Final = 1 / 1.15
"""Points a CPU-second of the client that are wanted, of those with one server."""
RATES: Final = {HSET: 1.6, "flat": 1.6, "packed": 1.0}
"""The rate of three that is wanted, of that of one, while the cores last."""
PEER_POINTS: Final = 1_000_000
TILES: Final = 4
"""Times as many points are loaded in layout tile: each node costs the client some milliseconds, which would count."""


def main(arguments: Sequence[str]) -> None:
    asked = options("cluster", __doc__, arguments, points=8_000_000, rounds=3, parts=(*PARTS, PEERS))
    work = Workload.packet(round(asked.points ** (1 / 3)))
    found: dict[str, Any] = {}
    drawn: dict[str, list[Summary]] = {}
    for kind in asked.kinds:
        with fleet(kind) as servers:
            turns = _turns(work, asked.parts)
            for turn in turns:
                servers.empty()
                turn.load(servers)  # pays for imports
            own = summarise(in_rounds(servers, turns, asked.rounds), turns[0].name)
            figures = _figures(asked.parts)
            drawn[servers.software] = own
            print(f"\n{servers.software}, {work.points:,} points, {asked.rounds} rounds")
            print(table(own, figures))
            found[servers.software] = {
                "contestants": [summary.to_json() for summary in own],
                "figures": [figure.to_json(own) for figure in figures],
            }
    keep(asked, "cluster", found)
    if asked.plot:
        draw(asked.plot, drawn)


def _turns(work: Workload, parts: Sequence[str]) -> list[Turn[Fleet]]:
    places = dict.fromkeys(place for part in parts if part in PARTS for place in PARTS[part])
    larger = Workload.packet(round((TILES * work.points) ** (1 / 3)))
    turns = [
        Turn(name=_name(where, how), points=loaded.points, load=partial(_load, loaded, where, how))
        for how in HOW
        for loaded in [larger if how == TILE else work]
        for where in places
    ]
    if PEERS in parts:
        part = work.part(min(1.0, PEER_POINTS / work.points))
        turns += [
            Turn(name=name, points=part.points, load=partial(load, work=part))
            for name, load in {
                **{_name(NODES, how): _loader(NODES, how) for how in (HSET, "flat")},
                **cluster_peers.PEERS,
            }.items()
            if name not in [turn.name for turn in turns]
        ]
    return turns


def _figures(parts: Sequence[str]) -> list[Figure]:
    pairs = [PARTS[part] for part in parts if part in PARTS]
    figures = [
        Figure(
            name=f"{how}: points a CPU-second, {where} / {base}",
            over=_name(where, how),
            under=(_name(base, how),),
            of="client",
            wanted=CPU,
        )
        for how in HOW
        for where, base in pairs
    ]
    figures += [
        Figure(
            name=f"{how}: rate, {where} / {base}",
            over=_name(where, how),
            under=(_name(base, how),),
            wanted=wanted,
        )
        for how, wanted in RATES.items()
        for where, base in pairs
        if where != MANY
    ]
    if PEERS in parts:
        figures += [
            Figure(
                name=f"{how}, 3 nodes / the best peer",
                over=_name(NODES, how),
                under=tuple(cluster_peers.PEERS),
                wanted=5,
            )
            for how in (HSET, "flat")
        ]
    return figures


def settings_for(where: str) -> Settings:
    """Enough connections for two to each of many nodes."""
    return Settings(max_connections=2 * VIRTUAL + 16) if where == MANY else Settings()


def _name(where: str, how: str) -> str:
    return f"qwf, {how}, {where}"


def _loader(where: str, how: str) -> Callable[..., Cost]:
    return lambda servers, *, work: _load(work, where, how, servers)


def _load(work: Workload, where: str, how: str, servers: Fleet) -> Cost:
    async def load() -> Cost:
        async with store_at(WHERE[where](servers), settings_for(where)) as store:
            clock = Clock()
            report = await ingest(array(work.psi), store, "bench", overwrite=True, **HOW[how])
            cost = clock.cost()
        assert report.points == work.points, report
        return cost

    return anyio.run(load, backend="asyncio", backend_options={"use_uvloop": True})
