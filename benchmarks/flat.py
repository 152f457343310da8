"""`python -m benchmarks flat`: a field a point, loaded by this project and by others, in paired rounds.

`redis-cli --pipe` is fed requests that were encoded beforehand, once for one hash, and once the
very requests that this project sends. The last table is of another client, who sends one GET
after the other while points are loaded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from qwf_async.layout import Form
from qwf_async.wire.codec import stored

from . import bystander, peers, project
from .contest import Contestant, Load, contest
from .cost import Cost
from .options import keep, options
from .report import Figure, Summary, draw, summarise, table
from .servers import Kind, Running, running
from .workload import KEY, Workload

PIPE: Final = "redis-cli --pipe, one hash"
SAME: Final = "redis-cli --pipe, requests of qwf"
AUTO, HSET, ONE = "qwf, flat", "qwf, flat by HSET", "qwf, flat in one hash by HSET"
OLD: Final = "one HSET a point, pipelines, text"
REDIS_PY = ("redis-py, hset(mapping)", "redis.asyncio, 8 tasks")
OTHERS = (*REDIS_PY, "coredis, 8 tasks", "valkey-glide, 8 tasks")
FIELDS: Final = 512
"""Fields in a request of `redis-cli`: with fewer it is slower."""
MANY: Final = 1_000_000

one_hash: Final = partial(project.engine, slab="all", write_mode="hset")
auto: Final = project.engine


def figures(kind: Kind) -> list[Figure]:
    restored = {"valkey": 3.5, "redis": 3.0}
    return [
        Figure(name="flat / redis-cli --pipe into one hash", over=AUTO, under=(PIPE,), wanted=restored[kind]),
        Figure(name="flat by HSET / redis-cli --pipe into one hash", over=HSET, under=(PIPE,), wanted=2.0),
        Figure(name="flat / redis-cli --pipe with the same requests", over=AUTO, under=(SAME,), wanted=0.9),
        Figure(name="flat in one hash / redis-cli --pipe", over=ONE, under=(PIPE,), wanted=0.95),
        Figure(name="flat / an HSET a point, pipelines of 1000", over=AUTO, under=(OLD,), wanted=20),
        Figure(name="flat / the best of the other clients", over=AUTO, under=OTHERS, wanted=5),
    ]


def main(arguments: Sequence[str]) -> None:
    asked = options("flat", __doc__, arguments, points=8_000_000, rounds=3)
    work = Workload.packet(round(asked.points ** (1 / 3)))
    found: dict[str, Any] = {}
    drawn: dict[str, list[Summary]] = {}
    with tempfile.TemporaryDirectory(prefix="qwf-bench-") as directory:
        contestants = _contestants(work, Path(directory))
        for kind in asked.kinds:
            with running(kind) as server:
                runs = contest(server, contestants, work, asked.rounds)
                own = drawn[server.software] = summarise(runs, PIPE)
                print(f"\n{server.software}, {work.points:,} points, {asked.rounds} rounds")
                print(table(own, figures(kind)))
                waits = bystander.measured(server, work, {ONE: one_hash, AUTO: auto}, asked.rounds)
                print(bystander.table(waits, ONE, AUTO))
                found[server.software] = {
                    "contestants": [summary.to_json() for summary in own],
                    "figures": [figure.to_json(own) for figure in figures(kind)],
                    "bystander": waits,
                }
    keep(asked, "flat", found)
    if asked.plot:
        draw(asked.plot, drawn)


def _contestants(work: Workload, directory: Path) -> list[Contestant]:
    for_one, same = directory / "one-hash.resp", directory / "same.resp"
    work.write_requests(for_one, FIELDS)
    _write_same(work, same)
    whole: dict[str, Load] = {
        PIPE: partial(peers.redis_cli, requests=for_one),
        SAME: partial(peers.redis_cli, requests=same),
    }
    ours: dict[str, Load] = {
        AUTO: auto,
        HSET: partial(project.engine, write_mode="hset"),
        ONE: one_hash,
    }
    others: dict[str, Load] = {
        "qwf, flat, text10": partial(project.engine, codec="text10"),
        REDIS_PY[0]: peers.redis_py,
        f"{REDIS_PY[0]}, made beforehand": peers.redis_py_ready,
        REDIS_PY[1]: peers.redis_asyncio,
        OTHERS[2]: peers.coredis,
        OTHERS[3]: peers.valkey_glide,
    }
    return [
        *(Contestant(name=name, load=partial(_all, load), warm=False) for name, load in whole.items()),
        *(Contestant(name=name, load=partial(_all, load)) for name, load in ours.items()),
        *(Contestant(name=name, load=partial(_all, load), most=MANY) for name, load in others.items()),
        Contestant(
            name="qwf ingest, whole process", load=partial(_all, project.process), most=MANY, warm=False
        ),
        Contestant(name=OLD, load=partial(_all, peers.old_way), most=MANY // 4),
    ]


def _all(load: Load, server: Running, work: Workload) -> Cost:
    """The cost of a load, of which every point is there."""
    cost = load(server, work)
    fields = server.fields(KEY, "qwf:*}:s")
    assert fields == work.points, f"{load} stored {fields} of {work.points} points"
    return cost


def _write_same(work: Workload, path: Path) -> None:
    """A file of the requests of layout flat, as an ingest sends them where RESTORE is allowed."""
    form = Form.of(layout="flat", codec="c16", shape=work.shape)
    layout = form.open(b"qwf:bench:{0123456789abcdef.", by_restore=True)
    with path.open("wb") as file:
        for chunk in form.plan:
            batch = layout.encode(chunk, stored("c16", work.psi[chunk.box.slices]), 0.0)
            for part in batch.parts:
                file.writelines(part.buffers)
