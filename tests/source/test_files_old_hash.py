"""The old project's hash as a source: written by plain redis-py as that project did, and taken over as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import qwf_async
from qwf_async.errors import InvalidInput, Refused
from qwf_async.lattice.grid import Box, Grid
from qwf_async.lattice.plan import BoxPlan
from qwf_async.layout import LAYOUTS
from qwf_async.store.old_hash import OldFlat
from tests.conftest import Server, new_server
from tests.support.command import Shell
from tests.support.loads import ask, plain_fields, wave

pytestmark = pytest.mark.anyio
KEY = "wave:function 1"


def written(
    server: Server, psi: NDArray[Any], *, without: tuple[bytes, ...] = (), odd: dict[str, str] | None = None
) -> None:
    """The hash of ψ[t, x, y, z], each point by the old project's own words."""
    fields = plain_fields(psi, "text10")
    for name in without:
        del fields[name]
    with server.plain as client:
        client.delete(KEY)
        client.hset(KEY, mapping=dict(fields))
        for other, value in (odd or {}).items():
            client.hset(KEY, other, value)


def rounded(psi: NDArray[Any]) -> NDArray[Any]:
    return np.array([complex(float(f"{v.real:.10f}"), float(f"{v.imag:.10f}")) for v in psi.ravel()]).reshape(
        psi.shape
    )


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_an_old_hash_is_taken_over_with_its_values(
    each_server: Server, layout: str, small_chunks: None
) -> None:
    psi = wave(2, 11, 3, 12) * 30
    written(each_server, psi)
    async with qwf_async.connect(each_server.url) as store:
        source = await qwf_async.open_old_hash(store, KEY, box=4.0, dt=0.5)
        assert source.grid == Grid.of((11, 3, 12), box=(4.0,), frames=2, dt=0.5)
        report = await qwf_async.ingest(source, store, "new", layout=layout, verify=True)
        assert report.points == psi.size
        np.testing.assert_array_equal(await (await store.open("new")).read[...], rounded(psi))
        assert (
            await qwf_async.open_old_hash(store, KEY, box=4.0, dt=0.5)
        ).fingerprint() == source.fingerprint()
        written(each_server, psi + 1)
        assert (
            await qwf_async.open_old_hash(store, KEY, box=4.0, dt=0.5)
        ).fingerprint() != source.fingerprint()


async def test_missing_points_are_named_before_anything_is_written(server: Server) -> None:
    psi = wave(1, 6, 5, 4)
    async with qwf_async.connect(server.url) as store:
        written(server, psi, without=(b"x2_y0_z3_t0", b"x5_y4_z0_t0"))
        with pytest.raises(
            InvalidInput, match=r"has 118 points, .* has 120: missing are x2_y0_z3_t0, x5_y4_z0_t0$"
        ):
            await qwf_async.open_old_hash(store, KEY)
        written(server, psi, odd={"x99999_y0_z0_t0": "0,0"})
        with pytest.raises(InvalidInput, match=r"has 121 points, where its grid of 100000×5×4 points"):
            await qwf_async.open_old_hash(store, KEY)


@pytest.mark.parametrize(
    "name", ["x1_y2_z3", "", "x1_y2_z3_t-1", "x1_y2_z3_t0_", "x_y2_z3_t0", f"x{'9' * 30}_y0_z0_t0"]
)
async def test_another_hash_is_refused(server: Server, name: str) -> None:
    async with qwf_async.connect(server.url) as store:
        written(server, wave(1, 6, 5, 4), odd={name: "1,2"})
        with pytest.raises(InvalidInput, match="is no hash of the old project"):
            await qwf_async.open_old_hash(store, KEY)


async def test_what_is_no_hash_or_no_number_is_refused(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        with pytest.raises(InvalidInput, match="there is no hash 'nothing'"):
            await qwf_async.open_old_hash(store, "nothing")
        ask(server, "SET", "text", "1")
        with pytest.raises(Refused):
            await qwf_async.open_old_hash(store, "text")
        written(server, wave(1, 6, 5, 4), odd={"x3_y0_z0_t0": "1,two"})
        source = await qwf_async.open_old_hash(store, KEY)
        with pytest.raises(InvalidInput, match="no text10 in the field x3_y0_z0_t0"):
            await qwf_async.ingest(source, store, "bad")
        assert [entry.name for entry in await store.entries()] == []


def test_the_command_line_opens_it_on_the_server_it_writes_to(tmp_path: Path) -> None:
    psi = wave(2, 6, 5, 4)
    for server in new_server("valkey"):
        written(server, psi)
        shell = Shell.at(tmp_path, QWF_URL=server.url)
        dry = shell.qwf("ingest", f"redis-hash:{KEY}", "--box", "3", "--dry-run", "--json")
        assert dry.status == 0, dry.err
        assert json.loads(dry.out)["shape"] == [2, 6, 5, 4]
        assert ask(server, "DBSIZE") == 1
        done = shell.qwf("ingest", f"redis-hash:{KEY}", "--json")
        assert (done.status, json.loads(done.out)["name"]) == (0, "wave-function-1")
        assert shell.qwf("ingest", f"redis-hash:{KEY}", "--resume").status == 0
        odd = shell.qwf("ingest", f"redis-hash:{KEY}", "--grid", "5")
        assert (odd.status, odd.lines[-1][:25]) == (2, "qwf: --grid cannot be giv")
        with server.plain as client:
            assert len(client.hgetall(KEY)) == psi.size


TEMPORARY = {
    "temp_1": "1",
    "tmp:x0_y0_z0_t0": "0,0",
    "TEMP": "",
    "x0_y0_z0_t0_temp": "1,1",
    "temporary.7": "a",
}


@pytest.mark.parametrize("size", [(1, 6, 5, 4), (2, 11, 9, 12)])
async def test_temporary_fields_are_skipped_and_counted(each_server: Server, size: tuple[int, ...]) -> None:
    psi = wave(*size)
    async with qwf_async.connect(each_server.url) as store:
        written(each_server, psi)
        alone = await qwf_async.open_old_hash(store, KEY)
        assert alone.warnings() == []
        written(each_server, psi, odd=TEMPORARY)
        source = await qwf_async.open_old_hash(store, KEY)
        assert source.warnings() == [
            f"{KEY} has 5 temporary fields besides its points ('TEMP', 'temp_1', 'temporary.7', …), which are skipped"
        ]
        assert source.fingerprint() == alone.fingerprint()
        told: list[str] = []
        await qwf_async.ingest(
            source, store, "new", hooks=(lambda event: told.append(getattr(event, "text", "")),)
        )
        assert source.warnings()[0] in told
        np.testing.assert_array_equal(await (await store.open("new")).read[...], rounded(psi))
        written(each_server, psi, odd=TEMPORARY, without=(b"x5_y2_z3_t0",))
        with pytest.raises(InvalidInput, match=r"missing are x5_y2_z3_t0$"):
            await qwf_async.open_old_hash(store, KEY)


@pytest.mark.parametrize("name", ["temperature", "attempt_1", "x1_y2_z3_t", "norm", "temp\nx0"])
async def test_only_temporary_names_are_skipped(server: Server, name: str) -> None:
    async with qwf_async.connect(server.url) as store:
        written(server, wave(1, 6, 5, 4), odd={name: "1,2"} | TEMPORARY)
        if name == "temp\nx0":
            assert len((await qwf_async.open_old_hash(store, KEY)).skipped) == 6
            return
        with pytest.raises(InvalidInput, match="is no hash of the old project"):
            await qwf_async.open_old_hash(store, KEY)


async def test_a_hash_of_temporary_fields_alone_has_no_points(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        ask(server, "HSET", "only", "temp_1", "1", "temp_2", "2")
        with pytest.raises(InvalidInput, match="only has no points: all its 2 fields are temporary"):
            await qwf_async.open_old_hash(store, "only")


def test_what_is_stored_is_verified_against_it(tmp_path: Path) -> None:
    psi = wave(2, 6, 5, 4)
    for server in new_server("valkey"):
        written(server, psi, odd={"temp_1": "1"})
        shell = Shell.at(tmp_path, QWF_URL=server.url)
        assert shell.qwf("ingest", f"redis-hash:{KEY}", "--name", "new").status == 0
        same = shell.qwf("verify", "new", f"redis-hash:{KEY}")
        assert same.status == 0, same.err
        assert same.lines == [
            f"warning: {KEY} has 1 temporary field besides its points ('temp_1'), which is skipped",
            f"new: all 1 chunks are as redis-hash:{KEY}",
        ]
        assert shell.qwf("estimate", f"redis-hash:{KEY}").status == 0
        ask(server, "HSET", KEY, "x3_y1_z2_t1", "0.5,0.5")
        other = shell.qwf("verify", "new", f"redis-hash:{KEY}")
        assert (other.status, "1 of 1 chunks of new differ" in other.err) == (5, True)
        assert shell.qwf("verify", "new", f"redis-hash:{KEY}", "--dims", "x,y").status == 2
        assert shell.qwf("verify", "new", "redis-hash:nothing").status == 7


def test_every_road_asks_for_the_key_of_the_old_hash() -> None:
    plan = BoxPlan.cut((1, 2, 3, 4))
    layout = OldFlat(base=b"wave_function", codec="text10", plan=plan, one_hash=True)
    (fetch,) = layout.fetches(np.array([[0, 1, 2, 3]]))
    (part,) = layout.requests(Box(start=(0, 0, 0, 0), stop=(1, 2, 3, 4)))
    assert [fetch.key_of(0), part.key, *layout.keys(0)] == [
        "wave_function",
        b"wave_function",
        b"wave_function",
    ]
    assert bytes(fetch.buffer) == b"*3\r\n$5\r\nHMGET\r\n$13\r\nwave_function\r\n$11\r\nx1_y2_z3_t0\r\n"
