"""The store as its users see it: opened, listed, read and removed, with what others may have done meanwhile."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import qwf_async
from qwf_async import sources
from qwf_async.catalog.keys import Keys
from qwf_async.catalog.load import Load
from qwf_async.errors import DamagedData, InvalidInput, QwfError, Refused, ServerUnavailable
from qwf_async.settings import Settings
from tests.conftest import Server, open_pool
from tests.support.handmade import HOUR, KEYS, begin, data_key, fields_at, fill, put_data, set_field

pytestmark = pytest.mark.anyio
RNG = np.random.default_rng(7)
PSI: NDArray[np.complex128] = RNG.standard_normal((2, 12, 3, 2, 2)).view(np.complex128)[..., 0]
"""[t, x, y, z]"""


def generation_of(server: Server, keys: Keys = KEYS) -> str:
    return fields_at(server, keys.meta)["generation"]


async def leave_load(server: Server, *, dead: bool) -> Load:
    """A load of `psi` with data, that is under way or whose process died with its claim still to run."""
    async with open_pool(server) as pool:
        load = await begin(pool, overwrite=True, ttl=HOUR)
        put_data(server, load.manifest.generation)
        await fill(pool, load, [0])
    if dead:
        set_field(server, KEYS.load, "owner_started", "1")
    return load


@pytest.mark.parametrize("codec", ["c16", "c8", "text10"])
async def test_every_point_is_found_by_its_name(each_server: Server, codec: str) -> None:
    wanted = {
        "c16": PSI,
        "c8": PSI.astype(np.complex64).astype(np.complex128),
        "text10": np.array([complex(float(f"{v.real:.10f}"), float(f"{v.imag:.10f}")) for v in PSI.flat]),
    }[codec].reshape(PSI.shape)
    async with qwf_async.connect(each_server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", codec=codec)
        psi = await store.open("psi")
        for t, x, y, z in np.ndindex(PSI.shape):
            assert await psi.point(x, y, z, t) == wanted[t, x, y, z]
        assert await psi.point(11) == await psi.point(-1) == wanted[0, 11, 0, 0]
        assert psi.where(-1, -3, t=-2) == psi.where(11, 0)


async def test_a_point_outside_the_grid_is_bad_input(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        psi = await store.open("psi")
        for point, message in [
            ((12, 0, 0, 0), "x = 12 is outside the grid: x runs from 0 to 11"),
            ((0, -4, 0, 0), "y = -4"),
            ((0, 0, 2, 0), "z = 2"),
            ((0, 0, 0, 2), "t = 2"),
        ]:
            with pytest.raises(InvalidInput, match=message):
                await psi.point(*point)


@pytest.mark.parametrize("codec", ["c16", "c8", "text10"])
@pytest.mark.parametrize("damage", [None, b"", b"abc"])
async def test_a_point_that_is_missing_or_malformed_is_named_by_key_and_field(
    each_server: Server, codec: str, damage: bytes | None
) -> None:
    async with qwf_async.connect(each_server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", codec=codec)
        psi = await store.open("psi")
        key = data_key(generation_of(each_server))
        with each_server.plain as client:
            client.hdel(key, "x10_y2_z1_t1")
            if damage is not None:
                client.hset(key, "x10_y2_z1_t1", damage)
        with pytest.raises(DamagedData, match=f"{key} .*the field x10_y2_z1_t1") as raised:
            await psi.point(10, 2, 1, 1)
        assert "overwrite=True" in str(raised.value)
        await psi.point(10, 2, 0, 1)


async def test_a_data_key_of_another_type_is_refused_and_named(each_server: Server) -> None:
    async with qwf_async.connect(each_server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        psi = await store.open("psi")
        key = data_key(generation_of(each_server))
        with each_server.plain as client:
            client.set(key, "in the way")
        with pytest.raises(Refused, match=key):
            await psi.point(0)


async def test_a_wavefunction_that_was_replaced_or_removed_says_so(each_server: Server) -> None:
    async with qwf_async.connect(each_server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        first = await store.open("psi")
        await qwf_async.ingest(sources.array(2 * PSI), store, "psi", overwrite=True)
        second = await store.open("psi")
        assert await second.point(3) == 2 * PSI[0, 3, 0, 0]
        with pytest.raises(Refused, match="psi was replaced or removed since it was opened: open it again"):
            await first.point(3)
        await store.remove("psi")
        with pytest.raises(Refused, match="psi was replaced or removed"):
            await second.point(3)


async def test_readers_see_the_old_until_the_new_is_published(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        await leave_load(server, dead=False)
        assert await (await store.open("psi")).point(5) == PSI[0, 5, 0, 0]


async def test_a_name_without_a_wavefunction_is_bad_input_that_says_what_there_is(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        with pytest.raises(InvalidInput, match=r"there is no wavefunction 'psi' on unix://.*/s$"):
            await store.open("psi")
        with pytest.raises(InvalidInput, match="there is no wavefunction 'psi'"):
            await store.remove("psi")
        await leave_load(server, dead=False)
        with pytest.raises(InvalidInput, match=f"it is being loaded by process {os.getpid()} on"):
            await store.open("psi")
        set_field(server, KEYS.load, "owner_deadline", 1)
        with pytest.raises(InvalidInput, match="an unfinished load of it can be resumed"):
            await store.open("psi")


@pytest.mark.parametrize("name", ["", "a b", "a:b", "{a}", "ψ", "a/b", "a\n", "x" * 129])
async def test_a_name_that_cannot_stand_in_a_key_is_bad_input(server: Server, name: str) -> None:
    async with qwf_async.connect(server.url) as store:
        for operation in (store.open, store.remove):
            with pytest.raises(InvalidInput, match="may hold only letters, digits"):
                await operation(name)
        with pytest.raises(InvalidInput):
            await qwf_async.ingest(sources.array(PSI), store, name)
    assert server.contents() == {}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format", "3", "format version 3; this program reads up to 2: update it"),
        ("format", "1", "format version 1 is not read any more"),
        ("layout", "spiral", "unknown layout"),
        ("codec", "c32", "unknown codec"),
        ("shape", "[]", "is not the metadata of a wavefunction"),
    ],
)
async def test_what_this_program_cannot_read_is_damage_and_is_named(
    server: Server, field: str, value: str, message: str
) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        set_field(server, KEYS.meta, field, value)
        before = server.contents()
        with pytest.raises(DamagedData, match=message) as raised:
            await store.open("psi")
        assert str(raised.value).startswith(KEYS.meta)
        with pytest.raises(DamagedData, match=message):
            await qwf_async.ingest(sources.array(PSI), store, "psi", overwrite=True)
    assert server.contents() == before


async def test_entries_list_what_is_published_and_what_is_under_way(each_server: Server) -> None:
    async with qwf_async.connect(each_server.url) as store:
        assert await store.entries() == []
        await qwf_async.ingest(sources.array(PSI), store, "zeta")
        await qwf_async.ingest(sources.array(PSI), store, "alpha", codec="c8")
        with each_server.plain as client:
            client.hset(KEYS.names, "stale", "0123456789abcdef")
        await leave_load(each_server, dead=True)
        entries = await store.entries()
        assert [entry.name for entry in entries] == ["alpha", "psi", "zeta"]
        alpha, psi, zeta = entries
        assert alpha.manifest == (await store.open("alpha")).manifest
        assert alpha.manifest is not None
        assert alpha.manifest.form.codec == "c8"
        assert (alpha.note, zeta.note) == (None, None)
        assert psi.manifest is None
        assert psi.note is not None
        assert "an unfinished load" in psi.note


async def test_stores_of_different_prefixes_know_nothing_of_each_other(each_server: Server) -> None:
    one, other = (Settings(url=each_server.url, prefix=prefix) for prefix in ("qwf", "lab.2"))
    async with qwf_async.connect(settings=one) as mine, qwf_async.connect(settings=other) as theirs:
        await qwf_async.ingest(sources.array(PSI), mine, "psi")
        before = each_server.contents()
        assert await theirs.entries() == []
        with pytest.raises(InvalidInput):
            await theirs.open("psi")
        await qwf_async.ingest(sources.array(2 * PSI), theirs, "psi")
        after = each_server.contents()
        assert {key: after[key] for key in before} == before
        assert all(key.startswith(b"lab.2:") for key in after.keys() - before.keys())
        assert await (await mine.open("psi")).point(1) == PSI[0, 1, 0, 0]
        assert await (await theirs.open("psi")).point(1) == 2 * PSI[0, 1, 0, 0]
        await theirs.remove("psi")
        assert each_server.contents() == before


async def test_removing_leaves_nothing_of_the_name_and_all_of_the_others(each_server: Server) -> None:
    async with qwf_async.connect(each_server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "other")
        with each_server.plain as client:
            client.set("foreign", "stays")
        before = each_server.contents()
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        with each_server.plain as client:
            client.hset(KEYS.scratch, mapping={"sample": "x"})
        await store.remove("psi")
        assert each_server.contents() == before


@pytest.mark.parametrize("published", [True, False])
async def test_removing_takes_an_unfinished_load_that_nobody_holds_along(
    each_server: Server, published: bool
) -> None:
    async with qwf_async.connect(each_server.url) as store:
        if published:
            await qwf_async.ingest(sources.array(PSI), store, "psi")
        await leave_load(each_server, dead=True)
        await store.remove("psi")
    assert each_server.contents() == {}


async def test_a_name_that_is_being_loaded_is_not_removed(each_server: Server) -> None:
    async with qwf_async.connect(each_server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        await leave_load(each_server, dead=False)
        before = each_server.contents()
        with pytest.raises(
            Refused, match=f"psi is being loaded by process {os.getpid()} on .*: stop it first"
        ):
            await store.remove("psi")
        assert each_server.contents() == before


async def test_a_name_that_was_replaced_while_it_was_to_be_removed_is_kept(each_server: Server) -> None:
    async with qwf_async.connect(each_server.url) as store, qwf_async.connect(each_server.url) as another:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        call = store.pool.call

        async def replaced_after_the_look(*command: Any, doing: str = "", **options: Any) -> Any:
            reply = await call(*command, doing=doing, **options)
            if doing.startswith("reading") and command[0] == "EVAL_RO":
                store.pool.call = call  # type: ignore[method-assign]
                await qwf_async.ingest(sources.array(2 * PSI), another, "psi", overwrite=True)
            return reply

        store.pool.call = replaced_after_the_look  # type: ignore[method-assign]
        with pytest.raises(Refused, match="psi was changed by another process"):
            await store.remove("psi")
        assert await (await store.open("psi")).point(1) == 2 * PSI[0, 1, 0, 0]


async def test_a_full_server_still_lets_a_name_be_removed(own_server: Server) -> None:
    async with qwf_async.connect(own_server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        with own_server.plain as client:
            client.config_set("maxmemory", 1)
        await store.remove("psi")
    assert own_server.contents() == {}


async def test_cleaning_goes_by_the_settings_of_the_store(each_server: Server) -> None:
    settings = Settings(url=each_server.url, keep_interrupted=60.0)
    async with qwf_async.connect(settings=settings) as store:
        await leave_load(each_server, dead=True)
        before = each_server.contents()
        assert not await store.clean()
        assert each_server.contents() == before
        store.settings = replace(settings, keep_interrupted=0.0)
        assert (await store.clean()).abandoned_loads == 1
        assert each_server.contents() == {}


async def test_info_holds_the_facts_that_plain_commands_give(each_server: Server) -> None:
    grid = qwf_async.Grid.of((12, 3, 2), box=(6.0, 3.0, 2.0), frames=2, dt=0.5)
    async with qwf_async.connect(each_server.url) as store:
        report = await qwf_async.ingest(sources.array(PSI, grid), store, "psi", codec="c8")
        info = await (await store.open("psi")).info()
    key = data_key(generation_of(each_server))
    with each_server.plain as client:
        assert info["first_key"] == key
        assert info["encoding"] == client.object("encoding", key).decode()
        assert info["bytes_per_point"] == client.memory_usage(key, samples=1000) / PSI.size
    expected = {
        "name": "psi", "generation": report.generation, "layout": "flat", "codec": "c8",
        "shape": [2, 12, 3, 2], "points": PSI.size, "keys": 1, "chunks": 1, "norm": report.norm,
    }  # fmt: skip
    assert info.items() >= expected.items()
    assert info["norm"] == pytest.approx((np.abs(PSI) ** 2).sum() * 0.5 / 2)
    assert 0 <= info["age_seconds"] < 60
    assert [axis["step"] for axis in info["axes"]] == [0.5, 0.5, 1.0, 1.0]


async def test_info_needs_no_permission_to_ask_for_memory(own_server: Server) -> None:
    async with qwf_async.connect(own_server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        with own_server.plain as client:
            client.acl_setuser("default", enabled=True, nopass=True, commands=["-memory"])
        assert (await (await store.open("psi")).info())["bytes_per_point"] is None


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Any) -> None:
    with pytest.raises(ServerUnavailable, match="is the server there"):
        async with qwf_async.connect(f"unix://{tmp_path}/no.sock"):
            raise AssertionError("connected")


async def test_the_password_of_the_settings_opens_the_store(own_server: Server) -> None:
    with own_server.plain as client:
        client.config_set("requirepass", "sesame")
    with pytest.raises(Refused, match="wants a password"):
        async with qwf_async.connect(own_server.url):
            raise AssertionError("connected")
    with pytest.raises(QwfError) as raised:
        async with qwf_async.connect(settings=Settings(url=own_server.url, password="barley")):
            raise AssertionError("connected")
    assert "barley" not in str(raised.value)
    settings = Settings(url=own_server.url, password="sesame")  # of a server of the test's own
    async with qwf_async.connect(settings=settings) as store:
        assert await store.entries() == []
        assert "sesame" not in f"{store.settings!r} {await store.server_info()}"


async def test_metadata_that_cannot_be_read_does_not_hide_the_other_names(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "alpha")
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        set_field(server, KEYS.meta, "format", "99")
        alpha, psi = await store.entries()
    assert (alpha.name, alpha.note) == ("alpha", None)
    assert psi.manifest is None
    assert "format version 99" in (psi.note or "")


async def test_a_damaged_record_can_be_removed_and_nothing_else_is(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        await qwf_async.ingest(sources.array(PSI), store, "alpha")
        with pytest.raises(InvalidInput, match="no record of psi is damaged"):
            await store.remove_damaged("psi")
        with server.plain as client:
            client.hdel(KEYS.meta, "format")
        before = server.contents()
        for blocked in (
            store.remove("psi"),
            qwf_async.ingest(sources.array(PSI), store, "psi", overwrite=True),
        ):
            with pytest.raises(
                DamagedData, match=r"it lacks 'format'; store.remove_damaged\('psi'\) removes"
            ):
                await blocked
        assert server.contents() == before
        assert await store.remove_damaged("psi") == [KEYS.meta]
        left = server.contents()
        assert before.keys() - left.keys() == {KEYS.meta.encode()}
        with server.plain as client:
            assert client.hkeys(KEYS.names) == [b"alpha"]
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        assert np.array_equal(await (await store.open("psi")).read[...], PSI)


async def test_a_record_of_a_later_format_is_no_damage(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        set_field(server, KEYS.meta, "format", "99")
        with pytest.raises(Refused, match="format version 99"):
            await store.remove_damaged("psi")
        assert fields_at(server, KEYS.meta)["format"] == "99"
