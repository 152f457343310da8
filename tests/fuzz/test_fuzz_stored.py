"""Random damage to what is stored, on a real server: named in one line, and of other names nothing changed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.catalog.owner import Owner
from qwf_async.layout import Form
from tests.support.fuzzing import Ground, fuzzed, ground, mutated, qwf

LAYOUT_OF = {"psi": "flat", "tiles": "tile", "packed": "packed"}
PSI = np.arange(1, 141).reshape(4, 7, 5) * (1 - 0.5j)
"""Of 140 points: a bucket that is full and one that is not."""

WORTHS: list[bytes] = [
    b"",
    b"0",
    b"1",
    b"2",
    b"-1",
    b"x",
    b"null",
    b"[]",
    b"{}",
    b"[1]",
    b"[0, 1, 1, 1]",
    b"[-1, -4, 7, 5]",
    b"[1, 4, 7, 6]",
    b"[1, 4, 7]",
    b"[4611686018427387904, 1, 1, 1]",
    b'["a", 1, 1, 1]',
    b"[null, null, null, null]",
    b"[[], {}, 1, 1]",
    b"1e999",
    b"NaN",
    b"Infinity",
    b"9" * 30,
    b"9" * 5000,
    b"\xff\xfe\x00",
    b"\0",
    b"a\nb",
    b"\x1b[31m",
    b"x" * 300_000,
    b"[" * 100_000,
    b'{"a":' * 20_000,
    b'{"kind": "box"}',
    b'{"kind": "box", "chunk": [1, 1, 1, 1], "order": "Q", "count": 1}',
    b'{"kind": "range", "length": 0, "count": 1}',
    b'{"kind": "range", "length": 1e400}',
    b'{"kind": []}',
    b'{"layout": "flat"}',
    b'{"tile": [1, 1]}',
    b'{"tile": [0, 0, 0]}',
    b'{"tile": null}',
    b'{"slab": "all"}',
    b'{"slab": "some"}',
    b'{"slab": [1, 4, 7, 5]}',
    b'{"tile": ["a", "b", "c"]}',
    b'{"tile": [1, 1, 1.5]}',
    b"flat",
    b"packed",
    b"tile",
    b"c8",
    b"text10",
    b"c16",
    b"stale",
    b"0000000000000000 1.0",
    b"zz zz",
    b"1 2 3",
    b"f" * 17 + b" 1",
    b"2020-01-01",
    b"2020-01-01T00:00:00",
    b"yesterday",
    b"9999-12-31T23:59:59+00:00",
    "\u2028".encode(),
    "ψ".encode(),
    b"qwf:tiles",
    b"*",
    b"..",
    b"}:{tiles}",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """psi, tiles and packed published; of psi also a load to be resumed and something in the trash."""
    directory = tmp_path_factory.mktemp("stored")
    np.save(directory / "psi.npy", PSI)
    with pytest.MonkeyPatch.context() as patch, ground(directory, patch) as found:
        for name, layout in LAYOUT_OF.items():
            options = ["--name", name, "--layout", layout, "--quiet", "--box", "4"]
            assert qwf("ingest", "psi.npy", *options).status == 0
        with found.server.plain as client:
            meta = client.hgetall("qwf:{psi}:meta")
            owner = Owner.here().to_fields() | {"owner_deadline": "1"}
            under_way = {**meta, "generation": "1" * 16, "overwrites": meta[b"generation"].decode(), **owner}
            client.hset("qwf:{psi}:load", mapping=under_way)
            journal = client.hgetall(b"qwf:psi:{%s.0}:j" % meta[b"generation"])
            client.hset(f"qwf:psi:{{{'1' * 16}.0}}:j", mapping=journal)
            form = Form.of(layout="packed", codec="c8", shape=(1, 4, 7, 5))
            client.hset("qwf:{psi}:trash", "2" * 16, json.dumps(form.to_json() | {"since": 1}))
            client.hset(f"qwf:psi:{{{'2' * 16}.0}}:b0", "0", b"\0" * 8)
            client.hset("qwf:{psi}:scratch", "sample", "1")
        found.remember()
        yield found


def damage(client: redis.Redis, chance: random.Random, keys: list[bytes]) -> str:
    """Spoil a key that is a hash: a field lost, changed, added, or the key one of another type."""
    key = chance.choice([key for key in keys if client.type(key) == b"hash"])
    if chance.random() < 0.08:
        client.delete(key)
        other: Callable[[], Any] = chance.choice(
            [lambda: client.set(key, "x"), lambda: client.rpush(key, "x"), lambda: None]
        )
        other()
        return f"{key!r} of another type, or gone"
    fields: dict[Any, Any] = client.hgetall(key)
    name = chance.choice(sorted(fields))
    match chance.randrange(6):
        case 0:
            client.hdel(key, name)
            return f"{key!r} {name!r} lost"
        case 1:
            name = chance.choice([*WORTHS, mutated(name, chance.getrandbits(60))])
    value = chance.choice([*WORTHS, mutated(fields.get(name, b""), chance.getrandbits(60)), *fields.values()])
    client.hset(key, name, value)
    return f"{key!r} {name!r} = {value[:100]!r}"


REQUESTS = [
    "ls",
    "ls --json",
    "info psi",
    "info psi --json",
    "info psi --server",
    "get psi 3 6 4",
    "get psi 0 --json",
    "slice psi ...",
    "slice psi 0,1:3 -o out.npy",
    "export psi out.npy",
    "verify psi",
    "verify psi --json",
    "verify psi psi.npy --box 4",
    "set psi 1 1 1 --value 1,2",
    "ingest psi.npy --box 4 --quiet",
    "ingest psi.npy --box 4 --resume",
    "ingest psi.npy --box 4 --overwrite --discard --verify",
    "ingest psi.npy --discard",
    "rm psi",
    "clean",
    "clean --json",
]


def of_others(place: Ground) -> dict[bytes, Any]:
    """What is stored under other names."""
    held = place.server.contents()
    return {
        key: held[key]
        for key in held
        if not (key.startswith((b"qwf:psi:", b"qwf:{psi}:")) or key == b"qwf:names")
    }


@fuzzed(25)
@given(seed=st.integers(0, 2**64))
def test_damaged_records_are_named_and_nothing_of_other_names_is_changed(seed: int, place: Ground) -> None:
    place.renew()
    before = of_others(place)
    chance = random.Random(seed)
    with place.server.plain as client:
        control = sorted([*client.scan_iter("qwf:{psi}:*"), *client.scan_iter("qwf:psi:{*}:j")])
        told = [damage(client, chance, [*control, b"qwf:names"]) for _ in range(chance.choice([1, 1, 2]))]
        listable = client.type("qwf:names") == b"hash" and client.hexists("qwf:names", "tiles")
    done = []
    for request in chance.sample(REQUESTS, 3):
        done.append(request)
        ended = qwf(*request.split())
        if ended.status:
            check_brief(ended.err, told, done)
        assert of_others(place) == before, (told, done)
        place.check(asked=lambda path: path == "out.npy")
    ended = qwf("ls")
    if listable:
        assert ended.status == 0, (told, done, ended)
        assert "\ntiles " in f"\n{ended.out}", (told, done)


def check_brief(err: str, told: list[str], done: list[str]) -> None:
    """The last line says what happened, and does not quote all of a huge value."""
    last = err.splitlines()[-1]
    assert last.startswith("qwf: "), (told, done, err)
    assert len(last) < 2000, (told, done, len(last))
