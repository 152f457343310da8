"""`python -m benchmarks cluster_scale`: what grows with the nodes of a cluster, and with the chunks of a wavefunction.

The tables of slots are made up, for 10, 100 and 1000 nodes. The journals are of 10⁴ chunks, and ten times
as many up to `--points`, in a cluster of three real nodes: entries are written by plain sockets, and
then read and published as at the end of a load. CPU seconds of the client are those of the whole
process; those of the servers are of all three.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any, Final

import anyio
import hiredis
import numpy as np

from qwf_async.catalog.confirmation import Confirmation
from qwf_async.catalog.journal import JournalEntry
from qwf_async.catalog.keys import Keys
from qwf_async.catalog.load import Load
from qwf_async.catalog.manifest import Manifest
from qwf_async.client.evenness import even_generation, unevenness
from qwf_async.client.slots import SLOTS, SlotTable, slots_of_groups
from qwf_async.lattice.grid import Grid
from qwf_async.layout import Form
from qwf_async.settings import Settings
from qwf_async.store.store import Store

from .cost import Clock, Cost
from .fleet import NODES, Fleet, fleet, store_at
from .options import keep, options

NODE_COUNTS: Final = (10, 100, 1000)
CHUNKS_A_NODE: Final = 32
FEWEST: Final = 10_000
"""Chunks of the smallest journal."""
WRITTEN_AT_ONCE: Final = 10_000


def main(arguments: Sequence[str]) -> None:
    asked = options("cluster_scale", __doc__, arguments, points=1_000_000, rounds=5)
    found: dict[str, Any] = {"tables": [_table(n, r, asked.rounds) for n in NODE_COUNTS for r in (n, SLOTS)]}
    for row in found["tables"]:
        print("{nodes:5} nodes, {ranges:6} ranges: reply {bytes:9,} B, taken in {ms:6.2f} ms".format(**row))
    found["evenness"] = [_evenness(nodes, asked.rounds) for nodes in (NODES, *NODE_COUNTS)]
    for row in found["evenness"]:
        print(
            "{nodes:5} nodes, 32 chunks each: fullest {fullest:.3f} of the mean, {ms:6.2f} ms".format(**row)
        )
    for kind in asked.kinds:
        with fleet(kind) as servers:
            print(servers.software)
            sizes = [FEWEST * 10**power for power in range(6) if FEWEST * 10**power <= asked.points]
            found[servers.software] = [_journal(servers, size) for size in sizes]
    keep(asked, "cluster_scale", found)


def _table(nodes: int, ranges: int, rounds: int) -> dict[str, Any]:
    """The size of a reply to CLUSTER SLOTS, and the milliseconds of CPU that it takes."""
    reply = b"".join(_slots_reply(nodes, ranges))
    spent = []
    for _ in range(rounds):
        clock = Clock()
        reader = hiredis.Reader()
        reader.feed(reply)
        table = SlotTable.parse(reader.gets(), asked=("localhost", 6379))
        spent.append(clock.cost().cpu_seconds * 1e3)
        assert len(table.nodes) == nodes
        assert not table.uncovered
    return {"nodes": nodes, "ranges": ranges, "bytes": len(reply), "ms": median(spent)}


def _slots_reply(nodes: int, ranges: int) -> Iterator[bytes]:
    """A reply of primaries with a replica each, in RESP2."""
    yield b"*%d\r\n" % ranges
    for number in range(ranges):
        first, last = SLOTS * number // ranges, SLOTS * (number + 1) // ranges - 1
        yield b"*4\r\n:%d\r\n:%d\r\n" % (first, last)
        for port in (6379, 6380):
            host = f"10.0.{number % nodes // 250}.{number % nodes % 250}".encode()
            name = b"%039d%d" % (number % nodes, port % 10)
            yield b"*4\r\n$%d\r\n%s\r\n:%d\r\n$40\r\n%s\r\n*0\r\n" % (len(host), host, port, name)


def _evenness(nodes: int, rounds: int) -> dict[str, Any]:
    """How full the fullest node is with the generation that is drawn, and what the draws cost."""
    table, groups = SlotTable.even(nodes), np.arange(CHUNKS_A_NODE * nodes)
    fullest, spent = [], []
    for _ in range(rounds):
        clock = Clock()
        generation = even_generation(lambda: secrets.token_hex(8), table, groups)
        spent.append(clock.cost().cpu_seconds * 1e3)
        fullest.append(unevenness(generation, table, groups))
    return {"nodes": nodes, "fullest": median(fullest), "ms": median(spent)}


def _journal(servers: Fleet, chunks: int) -> dict[str, Any]:
    """Read and publish a journal of so many chunks."""
    servers.empty()
    return anyio.run(_read_and_publish, servers, chunks, backend_options={"use_uvloop": True})


async def _read_and_publish(servers: Fleet, chunks: int) -> dict[str, Any]:
    settings = Settings()
    async with store_at(servers.cluster, settings) as store:
        load, keys = await _begun(store, chunks)
        _write_journal(servers, keys, load.manifest, chunks)
        before, spent = _resident(), servers.cpu_seconds()
        clock = Clock()
        entries = await load.journal()
        read = clock.cost()
        reading, held = servers.cpu_seconds() - spent, _resident() - before
        assert len(entries) == chunks
        spent = servers.cpu_seconds()
        clock = Clock()
        confirmation = Confirmation(pool=store.pool, keys=keys, manifest=load.manifest)
        await confirmation.confirm()
        published = await load.publish(1.0, confirmation)
        publish, publishing = clock.cost(), servers.cpu_seconds() - spent
        assert published.norm == 1.0
    row = {
        "chunks": chunks,
        "read": _shown(read, reading),
        "publish": _shown(publish, publishing),
        "held_bytes": held,
    }
    print(
        f"{chunks:10,} chunks: journal read {_text(read, reading)}; confirmed and published "
        f"{_text(publish, publishing)}; the entries take {held / 1e6:.0f} MB",
        flush=True,
    )
    return row


async def _begun(store: Store, chunks: int) -> tuple[Load, Keys]:
    """A load of a point a chunk."""
    side = 100
    grid = Grid.of((side, chunks // side, 1))
    form = Form.of(layout="flat", codec="c16", shape=grid.shape, slab=(1, 1, 1, 1))
    assert form.groups == chunks
    keys = Keys(prefix="qwf", name="bench")
    manifest = Manifest(generation=secrets.token_hex(8), form=form, grid=grid, source="", fingerprint="")
    load = await Load.begin(store.pool, keys, manifest, unfinished="refuse", overwrite=False, ttl=600.0)
    assert isinstance(load, Load)
    return load, keys


def _write_journal(servers: Fleet, keys: Keys, manifest: Manifest, chunks: int) -> None:
    """The entry of each chunk, where it belongs, by plain sockets."""
    base = keys.base(manifest.generation)
    owners = SlotTable.even(NODES).owners[slots_of_groups(base, np.arange(chunks))]
    for number, node in enumerate(servers.nodes):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(node.socket))
            mine = np.flatnonzero(owners == number).tolist()
            for start in range(0, len(mine), WRITTEN_AT_ONCE):
                some = mine[start : start + WRITTEN_AT_ONCE]
                connection.sendall(b"".join(_entry(base, chunk) for chunk in some))
                replies = 0
                while replies < len(some):
                    got = connection.recv(1 << 20)
                    assert b"-" not in got, got
                    replies += got.count(b"\n")


def _entry(base: bytes, chunk: int) -> bytes:
    words = (
        b"HSET",
        base + b"%d}:j" % chunk,
        b"%d" % chunk,
        JournalEntry(digest=chunk, weight=0.5).to_text().encode(),
    )
    return b"*4\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def _resident() -> int:
    """Bytes of this process that are in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _shown(cost: Cost, servers: float) -> dict[str, float]:
    return {"seconds": cost.seconds, "cpu_seconds": cost.cpu_seconds, "server_cpu_seconds": servers}


def _text(cost: Cost, servers: float) -> str:
    return f"{cost.seconds:.2f} s, CPU of the client {cost.cpu_seconds:.2f} s, of the servers {servers:.2f} s"
