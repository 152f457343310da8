"""The oracle: one wavefunction as it should be on the server, compared with what is there.

Read by plain redis-py, past the code under test, and compared with a plain twin of the
layouts and codecs, a value at a time.
"""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import redis
from numpy.typing import NDArray

from tests.conftest import PATIENCE
from tests.support.loads import plain_groups, wave


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One ingest: ψ, where it goes, and how."""

    name: str
    url: str
    psi: NDArray[Any]
    layout: str
    codec: str
    writers: int
    max_rate: float
    verify: bool
    overwrite: bool
    spool_limit: int
    deadline: float

    @classmethod
    def drawn(
        cls, chance: random.Random, name: str, urls: Sequence[str], shape: tuple[int, ...], **more: Any
    ) -> Case:
        layout, codec = chance.choice(
            [("flat", "c16"), ("flat", "c8"), ("flat", "text10")]
            + [(layout, codec) for layout in ("packed", "tile") for codec in ("c16", "c8")]
        )
        psi = wave(*shape, seed=chance.randrange(2**32))
        return cls(
            name=name,
            url=chance.choice(urls),
            psi=psi,
            layout=layout,
            codec=codec,
            writers=chance.randint(1, 4),
            max_rate=psi.size / chance.uniform(0.1, 2.5),
            verify=chance.random() < 0.2,
            spool_limit=chance.choice([2**30, 2**30, 2**30, 150_000, 0]),
            deadline=chance.choice([1.5, 4.0, 12.0]),
            **more,
        )


def _published(client: redis.Redis, name: str) -> dict[bytes, bytes]:
    """The record of what readers see; empty if there is none."""
    meta: dict[Any, Any] = client.hgetall(f"qwf:{{{name}}}:meta")
    return meta


def _base(name: str, meta: dict[bytes, bytes]) -> str:
    return f"qwf:{name}:{{{meta[b'generation'].decode()}."


def _expected(case: Case, meta: dict[bytes, bytes]) -> dict[str, dict[bytes, bytes]]:
    """What each data key should hold, by what its name ends in."""
    plan = json.loads(meta[b"plan"])
    if case.layout == "flat":
        return {f"{number}}}:s": fields for number, fields in plain_groups(case.psi, meta).items()}
    psi = case.psi.astype("<c16" if case.codec == "c16" else "<c8")
    keys: defaultdict[str, dict[bytes, bytes]] = defaultdict(dict)
    if case.layout == "packed":
        for i, value in enumerate(psi.reshape(-1)):
            keys[f"{i // plan['length']}}}:b{i // 128}"][b"%d" % (i % 128)] = value.tobytes()
        return keys
    tile = a, b, c = json.loads(meta[b"parameters"])["tile"]
    counts = [-(-n // m) for n, m in zip(psi.shape, plan["chunk"], strict=True)]
    for t, i, j, k in np.ndindex(len(psi), *(-(-n // m) for n, m in zip(psi.shape[1:], tile, strict=True))):
        cut = psi[t, i * a : i * a + a, j * b : j * b + b, k * c : k * c + c]
        padded = np.zeros(tile, psi.dtype)
        padded[tuple(map(slice, cut.shape))] = cut
        places = [n // m for n, m in zip((t, i * a, j * b, k * c), plan["chunk"], strict=True)]
        number = np.ravel_multi_index(places, counts, order=plan["order"])
        keys[f"{number}}}:t"][b"c/%d/%d/%d/%d" % (t, i, j, k)] = padded.tobytes()
    return keys


def compared(client: redis.Redis, case: Case) -> tuple[int, int]:
    """Fields of what is published that are missing, and that are wrong or should not be there."""
    meta = _published(client, case.name)
    if not meta:
        return case.psi.size, 0
    lost = wrong = 0
    for key, wanted in _expected(case, meta).items():
        held = client.hgetall(_base(case.name, meta) + key)
        lost += len(wanted.keys() - held.keys())
        wrong += len(held.keys() - wanted.keys())
        wrong += sum(held[name] != value for name, value in wanted.items() if name in held)
    return lost, wrong


def journalled(client: redis.Redis, name: str) -> int:
    """Chunks of what is published."""
    meta = _published(client, name)
    return sum(client.hlen(key) for key in _journals(name, meta)) if meta else 0


def _journals(name: str, meta: dict[bytes, bytes]) -> set[str]:
    one_hash = json.loads(meta[b"parameters"]).get("slab") == "all"
    groups = 1 if one_hash else json.loads(meta[b"plan"])["count"]
    return {f"{_base(name, meta)}{number}}}:j" for number in range(groups)}


def remove(client: redis.Redis, name: str) -> None:
    """Remove all of a name: control keys, data and its place in the index."""
    for pattern in (f"qwf:{{{name}}}:*", f"qwf:{name}:*"):
        for key in client.scan_iter(pattern, count=1000):
            client.unlink(key)
    client.hdel("qwf:names", name)


def strays(client: redis.Redis, cases: Collection[Case]) -> list[str]:
    """What is there besides these wavefunctions, and what is not there of them: keys, names, connections."""
    wanted = {"qwf:names"}
    for case in cases:
        name = case.name
        meta = _published(client, name)
        if not meta:
            continue  # told by the comparison
        wanted |= {f"qwf:{{{name}}}:meta", *_journals(name, meta)}
        wanted |= {_base(name, meta) + key for key in _expected(case, meta)}
    found = {key.decode() for key in client.scan_iter(count=1000)}
    names: list[Any] = client.hkeys("qwf:names")
    index = {name.decode() for name in names}
    end = time.monotonic() + PATIENCE
    while (clients := client.info("clients")["connected_clients"] - 1) and time.monotonic() < end:
        time.sleep(0.02)  # the server sees a closed connection a moment later
    found_besides = [f"key {key}" for key in found ^ wanted]
    return (
        found_besides
        + [f"name {name}" for name in index ^ {case.name for case in cases}]
        + ["connection"] * clients
    )
