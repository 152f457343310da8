"""Records on the server that were damaged or are not ours: every command refuses them, in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qwf_async
from qwf_async import Grid, sources
from qwf_async.catalog.manifest import MAX_CHUNK_POINTS, MAX_FRAMES, MAX_POINTS, Manifest
from qwf_async.catalog.name_state import read_state
from qwf_async.catalog.owner import Owner
from qwf_async.catalog.trash import TrashEntry
from qwf_async.errors import DamagedData, InvalidInput, QwfError, Refused
from qwf_async.layout import Form
from tests.conftest import Server, open_pool
from tests.support.command import Shell
from tests.support.handmade import KEYS, begin, manifest

pytestmark = pytest.mark.anyio

STATE = sources.gaussian(grid=Grid.of((16, 16), box=(8, 8), frames=2, dt=0.1))
HUGE = "9" * 5000


def sized(*shape: int, **plan: Any) -> dict[str, str]:
    """What fits together, but for being too large."""
    chunk = plan.pop("chunk", [1, 1, 1, 1])
    count = int(np.prod([-(-n // c) for n, c in zip(shape, chunk, strict=True)], dtype=object))
    return {
        "shape": json.dumps(shape),
        "points": str(int(np.prod(shape, dtype=object))),
        "plan": json.dumps({"kind": "box", "chunk": chunk, "order": "C", "count": count} | plan),
    }


def axes(**changes: Any) -> dict[str, str]:
    every = [a | changes for a in STATE.grid.to_json()["axes"]]
    return {"axes": json.dumps(every)}


TAMPERED: dict[str, dict[str, str]] = {
    "2**60 points": sized(2**20, 2**20, 2**20, 1),
    "10**9 frames": sized(10**9, 1, 1, 1),
    "a chunk of all": sized(2, 2**15, 2**15, 1, chunk=[2, 2**15, 2**15, 1]),
    "a generation of 1 MB": {"generation": "a" * 10**6},
    "a generation of patterns": {"generation": "*" * 16},
    "a generation that moves the cursor": {"generation": "\x1b[2J\x07"},
    "a shape that is not the points'": {"shape": "[2, 16, 16, 2]"},
    "a shape of fractions": {"shape": "[2, 16.5, 16, 1]"},
    "a shape below one": {"shape": "[2, -16, -16, 1]"},
    "a shape of huge numbers": {"shape": f"[2, {HUGE}, 16, 1]"},
    "points of huge numbers": {"points": HUGE},
    "a plan of another kind": {"plan": json.dumps({"kind": "range", "length": 512, "count": 1})},
    "a plan of no kind": {"plan": json.dumps({"kind": "x" * 10**5, "length": 512, "count": 1})},
    "chunks of fractions": {
        "plan": json.dumps({"kind": "box", "chunk": [2.0, 16, 16, 1], "order": "C", "count": 1})
    },
    "chunks of nothing": {
        "plan": json.dumps({"kind": "box", "chunk": [0, 16, 16, 1], "order": "C", "count": 1})
    },
    "a layout that is none": {"layout": "\x1b]0;owned\x07" + "x" * 10**6},
    "a codec that is none": {"codec": "zip"},
    "tiles of another layout": {"parameters": '{"tile": [8, 8, 1]}'},
    "a format before the first": {"format": "0"},
    "the format before this": {"format": "1"},
    "a format to come": {"format": "7"},
    "a slab that is none": {"parameters": '{"slab": "some"}'},
    "a slab of numbers": {"parameters": '{"slab": [1, 1, 1, 1]}'},
    "a format that is no number": {"format": HUGE},
    "a step of nothing": axes(step=0),
    "a step that is text": axes(step="0.5"),
    "an origin beyond numbers": axes(origin=1e999),
    "a unit that is a list": axes(unit=["bohr"]),
    "a time without a zone": {"created": "2026-01-01T00:00:00"},
    "nested JSON": {"axes": "[" * 100_000},
    "a field of 300 KB": {"source": "s" * 300_000},
    "bytes that are no text": {"plan": "\udcff\udcfe"},
}


def tamper(server: Server, key: str, fields: dict[str, str]) -> None:
    with server.plain as client:
        for name, text in fields.items():
            client.hset(key, name, text.encode(errors="surrogateescape"))


async def stored(server: Server, layout: str = "flat") -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(STATE, store, "psi", layout=layout, overwrite=True)


@pytest.mark.parametrize("what", TAMPERED)
async def test_a_tampered_record_is_refused_in_one_short_line(server: Server, what: str) -> None:
    await stored(server)
    tamper(server, KEYS.meta, TAMPERED[what])
    async with qwf_async.connect(server.url) as store:
        with pytest.raises(DamagedData) as refused:
            await store.open("psi")
        (listed,) = await store.entries()
    for said in (str(refused.value), listed.note or ""):
        assert said.isprintable()
        assert len(said) < 600


@pytest.mark.parametrize(("layout", "fields"), [
    ("packed", {"plan": json.dumps({"kind": "range", "length": 100, "count": 6})}),
    ("packed", {"plan": json.dumps({"kind": "box", "chunk": [2, 16, 16, 1], "order": "C", "count": 1})}),
    ("tile", {"plan": json.dumps({"kind": "box", "chunk": [2, 5, 16, 1], "order": "C", "count": 4})}),
    ("flat", {"plan": json.dumps({"kind": "range", "length": 512, "count": 1})}),
    ("packed", {"parameters": '{"slab": "all"}'}),
    ("tile", {"parameters": '{"slab": "all"}'}),
    ("tile", {"parameters": '{"tile": [8.5, 8, 1]}'}),
    ("tile", {"parameters": '{"tile": [0, 8, 1]}'}),
    ("tile", {"parameters": '{"tile": [17, 8, 1]}'}),
])  # fmt: skip
async def test_chunks_that_do_not_fit_the_layout_are_refused(
    server: Server, layout: str, fields: dict[str, str]
) -> None:
    await stored(server, layout)
    tamper(server, KEYS.meta, fields)
    async with qwf_async.connect(server.url) as store:
        with pytest.raises(
            DamagedData, match=r"not the metadata of a wavefunction: .*; store\.remove_damaged"
        ):
            await store.open("psi")


def test_every_command_says_so_and_ends(server: Server, tmp_path: Path) -> None:
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    np.save(tmp_path / "psi.npy", np.ones((4, 4, 4), complex))
    assert shell.qwf("ingest", "psi.npy", "--box", "4", "--quiet").status == 0
    tamper(server, KEYS.meta, sized(10**9, 1, 1, 1))
    commands = [
        "info psi", "get psi 0 0 0", "slice psi 0", "export psi out.npy", "verify psi", "observe psi",
        "plot psi", "rm psi", "set psi 0 0 0 --value 1", "ingest psi.npy --overwrite", "ingest psi.npy --resume",
    ]  # fmt: skip
    before = server.contents()
    for command, outcome in zip(commands, shell.each(*(c.split() for c in commands)), strict=True):
        assert outcome.status == 5, (command, outcome)
        assert len(outcome.lines) == 1, (command, outcome)
        assert "1,000,000,000 frames are more than can be stored" in outcome.lines[0]
        assert "qwf rm psi --damaged removes that record" in outcome.lines[0]
    listed, cleaned, resumed = shell.each(["ls"], ["clean"], ["resume"])
    assert (listed.status, cleaned.status, resumed.status) == (0, 0, 0)
    assert "1,000,000,000 frames" in listed.out
    assert server.contents() == before
    assert shell.qwf("rm", "psi", "--damaged").status == 0


def form_of(layout: str, *shape: float, **plan: Any) -> dict[str, object]:
    return {"layout": layout, "codec": "c16", "shape": shape, "plan": plan}


BOX = {"kind": "box", "chunk": [1, 8, 8, 8], "order": "C", "count": 1}
TRASH: dict[str, tuple[str, object]] = {
    "2**60 points": (
        "0" * 16,
        form_of("packed", 2**20, 2**20, 2**20, 1, kind="range", length=2**16, count=2**44),
    ),
    "10**9 frames of tiles": ("0" * 16, form_of("tile", 2**40, 8, 8, 8, **BOX | {"count": 2**40})),
    "a shape below one": ("0" * 16, form_of("flat", -1, 8, 8, 8, **BOX)),
    "a shape of fractions": ("0" * 16, form_of("flat", 1.5, 8, 8, 8, **BOX)),
    "chunks that are not so many": ("0" * 16, form_of("flat", 1, 8, 8, 8, **BOX | {"count": 2})),
    "chunks of part of a tile": (
        "0" * 16,
        form_of("tile", 1, 8, 8, 8, **BOX | {"chunk": [1, 4, 8, 8], "count": 2}),
    ),
    "no chunks, as of format 1": ("0" * 16, {"layout": "flat", "codec": "c16", "shape": [1, 8, 8, 8]}),
    "a generation of 1 MB": ("a" * 10**6, form_of("flat", 1, 8, 8, 8, **BOX)),
    "a generation that is none": ("../x", form_of("flat", 1, 8, 8, 8, **BOX)),
    "a layout that is none": ("0" * 16, form_of("heap", 1, 8, 8, 8, **BOX)),
    "no object": ("0" * 16, [1, 2]),
}


def test_an_entry_of_trash_is_of_a_generation_if_nothing_was_tampered_with() -> None:
    assert TrashEntry("0" * 16, json.dumps(form_of("flat", 1, 8, 8, 8, **BOX))).form() is not None


@pytest.mark.parametrize("what", TRASH)
async def test_a_tampered_entry_of_trash_is_left_and_counted(server: Server, what: str) -> None:
    await stored(server)
    generation, entry = TRASH[what]
    with server.plain as client:
        client.hset(KEYS.trash, generation, json.dumps(entry))
    before = server.contents()
    async with qwf_async.connect(server.url) as store:
        cleaned = await store.clean()
    assert (cleaned.strange_entries, cleaned.generations) == (1, 0)
    assert server.contents() == before


@pytest.mark.parametrize("field", [
    {"owner_token": "t" * 1000}, {"owner_host": "\x1b[2J" * 500}, {"owner_pid": HUGE}, {"owner_pid": str(2**40)},
    {"owner_pid": "-1"}, {"owner_deadline": str(2**70)}, {"owner_started": "1" * 1000}, {"overwrites": "g" * 10**5},
])  # fmt: skip
async def test_a_tampered_owner_of_a_load_is_refused(server: Server, field: dict[str, str]) -> None:
    await stored(server)
    owner = {
        "owner_token": "0" * 16, "owner_host": "away", "owner_boot": "", "owner_pid": "7",
        "owner_started": "1", "owner_deadline": "0", "overwrites": "",
    }  # fmt: skip
    with server.plain as client:
        fields = {name.decode(): text.decode() for name, text in client.hgetall(KEYS.meta).items()}
        client.hset(KEYS.load, mapping=fields | owner)
    async with qwf_async.connect(server.url) as store:
        await store.open("psi")
        tamper(server, KEYS.load, field)
        with pytest.raises(DamagedData, match="not the record of a load") as refused:
            await store.open("psi")
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize(
    "make",
    [
        lambda: Grid(shape=(1, 2**20, 2**20, 2)),
        lambda: Grid(shape=(2**27 + 1, 2, 1, 1)),
    ],
)
def test_what_would_be_refused_when_it_is_read_is_not_begun(make: Callable[[], Grid]) -> None:
    grid = make()
    assert grid.points > MAX_POINTS or grid.shape[0] > MAX_FRAMES
    form = Form.of(layout="flat", codec="c16", shape=grid.shape)
    with pytest.raises(InvalidInput, match="are more than can be stored"):
        Manifest(generation="0" * 16, form=form, grid=grid, source="", fingerprint="")
    tiles = Form.of(layout="tile", codec="c16", shape=(1, 512, 512, 512), tile=(512, 512, 512))
    assert tiles.plan.largest > MAX_CHUNK_POINTS
    with pytest.raises(InvalidInput, match="give smaller tiles"):
        Manifest(generation="0" * 16, form=tiles, grid=Grid.cube(512), source="", fingerprint="")


@pytest.mark.parametrize("what", ["meta", "load"])
@pytest.mark.parametrize(
    "foreign",
    [
        {"hello": "world"},
        {"format": "one"},
        {"format": "1"},
        {"format": "3"},
        {"shape": "[0, 1, 1, 1]"},
        {"shape": "[Infinity, 1, 1, 1]"},
        {"shape": f"[{10**400}, 1, 1, 1]"},
        {"axes": "[]"},
        {"axes": '"txyz"'},
        {"axes": json.dumps([{"origin": 10**400, "step": 1.0, "unit": None, "periodic": True}] * 4)},
        {"plan": "{}"},
        {"plan": '{"chunk": [9, 9, 9, 9], "order": "C"}'},
        {"plan": "not json"},
        {"codec": "c32"},
        {"layout": "spiral"},
        {"parameters": "[]"},
        {"parameters": '{"tile": [4, 4, Infinity]}'},
        {"parameters": '{"slab": "al"}'},
        {"norm": "large"},
        {"owner_pid": "x"},
        {"owner_deadline": ""},
    ],
)
async def test_a_foreign_hash_in_the_way_is_damage_and_is_named(
    server: Server, what: str, foreign: dict[str, str]
) -> None:
    key = KEYS.control(what)
    fields: dict[str, str] = manifest().to_fields()
    if what == "load":
        fields |= Owner.here().to_fields() | {"owner_deadline": "5", "overwrites": ""}
    elif next(iter(foreign)).startswith("owner"):
        foreign = {"axes": "null"}
    with server.plain as client:
        client.hset(key, mapping=dict(foreign if "hello" in foreign else fields | foreign))
    before = server.contents()
    async with open_pool(server) as pool:
        with pytest.raises(DamagedData, match=key.replace("{", "\\{")):
            await begin(pool, unfinished="discard", overwrite=True)
    assert server.contents() == before


@pytest.mark.parametrize("what", ["meta", "load"])
async def test_a_key_of_another_type_in_the_way_is_refused_and_named(each_server: Server, what: str) -> None:
    key = KEYS.control(what)
    with each_server.plain as client:
        client.rpush(key, "a list")
    before = each_server.contents()
    async with open_pool(each_server) as pool:
        with pytest.raises(Refused, match=key.replace("{", "\\{")):
            await begin(pool, overwrite=True)
    assert each_server.contents() == before


async def test_a_foreign_hash_that_is_not_utf8_is_damage(each_server: Server) -> None:
    with each_server.plain as client:
        client.hset(KEYS.meta, b"\xff\xfe", b"\x80")
    async with open_pool(each_server) as pool:
        with pytest.raises(QwfError) as raised:
            await read_state(pool, KEYS)
    assert type(raised.value) is DamagedData
