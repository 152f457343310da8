"""A copy is the original, bit for bit, wherever and however it is stored; or it is not there at all."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.copying.snapshot import Snapshot
from qwf_async.errors import DamagedData, InvalidInput, Refused
from qwf_async.lattice.grid import Axis, Grid
from tests.conftest import Server
from tests.support.loads import Enough, ask, check_alone, enough, group_keys, wave, when_stored

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks", "time_to_settle")]

FORMS: dict[str, dict[str, Any]] = {
    "flat": {},
    "flat slabs": {"slab": (2, 5, 4, 3)},
    "flat one hash": {"slab": "all"},
    "text": {"codec": "text10"},
    "packed c8": {"layout": "packed", "codec": "c8"},
    "tile": {"layout": "tile", "tile": (4, 4, 4)},
}
CHANGES = [
    ("flat", "tile"), ("tile", "flat"), ("tile", "packed c8"), ("packed c8", "flat slabs"), ("flat slabs", "tile"),
    ("flat slabs", "packed c8"), ("text", "tile"), ("flat one hash", "flat slabs"), ("packed c8", "text"),
]  # fmt: skip
SHAPE = (3, 11, 10, 9)
AXES = (
    Axis(origin=1.5, step=0.25, unit="fs"),
    Axis(origin=-2.0, step=0.5, unit="nm", periodic=False),
    *(Axis(origin=-1.0, step=0.125, unit="bohr"),) * 2,
)
PSI = wave(*SHAPE)
SOURCE = sources.array(PSI, grid=Grid(shape=SHAPE, axes=AXES))


def meta(server: Server, name: str) -> dict[str, str]:
    found: list[bytes] = ask(server, "HGETALL", f"qwf:{{{name}}}:meta")
    pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
    return {key.decode(): value.decode() for key, value in pairs}


@pytest.mark.parametrize("before", FORMS)
async def test_a_copy_has_the_same_bytes_and_the_same_form(server: Server, before: str) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(SOURCE, store, "psi", **FORMS[before])
        report = await qwf_async.copy(store, "psi", store, "new", verify=True)
        assert report.verified
    old, new = meta(server, "psi"), meta(server, "new")
    assert new.pop("copy_of").startswith(f"psi {old['generation']} ")
    norms = [float(fields.pop("norm")) for fields in (old, new)]  # that of the copy is of what is stored
    assert norms[0] == pytest.approx(norms[1], rel=1e-6 if old["codec"] != "c16" else 1e-15)
    for changes in ("generation", "created"):
        old.pop(changes), new.pop(changes)
    assert new == old
    endings = {"flat": "s", "packed": "b*", "tile": "t"}
    ending = endings[old["layout"]]
    with server.plain as client:
        one, other = (
            {key.partition(".")[2]: client.hgetall(key) for key in group_keys(server, ending, name)}
            for name in ("psi", "new")
        )
        assert one == other
        for keys in zip(group_keys(server, "j"), group_keys(server, "j", "new"), strict=True):
            entries = (client.hgetall(key).items() for key in keys)
            one, other = ({chunk: entry.split()[0] for chunk, entry in pairs} for pairs in entries)
            assert one == other


@pytest.mark.parametrize(("before", "after"), CHANGES)
async def test_layout_and_codec_change_on_the_way(server: Server, before: str, after: str) -> None:
    wanted: dict[str, Any] = {"layout": "flat", "codec": "c16"} | FORMS[after]
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(SOURCE, store, "psi", **FORMS[before])
        await qwf_async.copy(store, "psi", store, "new", **wanted)
        there, copied = await store.open("psi"), await store.open("new")
        before_values, values = await there.read[...], await copied.read[...]
        form, asked = copied.manifest.form, FORMS[after]
        assert (form.layout, form.codec) == (wanted["layout"], wanted["codec"])
        assert asked.get("tile") in (None, form.tile)
        kept = form.layout == there.manifest.form.layout and "slab" not in asked
        assert form.one_hash == (there.manifest.form.one_hash if kept else asked.get("slab") == "all")
        assert copied.manifest.grid == SOURCE.grid
    if form.codec == "text10":
        tolerance = 1e-10
    else:
        tolerance = 1e-6 if form.codec == "c8" and there.manifest.form.codec != "c8" else 0
    assert np.allclose(values, before_values, rtol=0, atol=tolerance)


async def test_chunks_are_read_once_though_others_cut_across_them(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    before = Snapshot.read

    async def counted(self: Snapshot, chunk: int) -> Any:
        read.append(chunk)
        return await before(self, chunk)

    monkeypatch.setattr(Snapshot, "read", counted)
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(SOURCE, store, "psi", layout="tile", tile=(4, 4, 4))
        chunks = range(len((await store.open("psi")).manifest.plan))
        for name, bound in (("in memory", 2**20), ("in a file", 1)):
            monkeypatch.setattr("qwf_async.copying.copy_source.MAX_LAYER_BYTES", bound)
            new = name.replace(" ", "-")
            await qwf_async.copy(store, "psi", store, new, layout="packed")
            assert sorted(read) == list(chunks), name
            read.clear()
            assert np.array_equal(await (await store.open(new)).read[...], PSI)


async def test_a_copy_to_another_server_counts_as_what_its_source_gives(
    own_server: Server, server: Server
) -> None:
    async with qwf_async.connect(server.url) as store, qwf_async.connect(own_server.url) as other:
        await qwf_async.ingest(SOURCE, store, "psi")
        await qwf_async.copy(store, "psi", other)
        assert np.array_equal(await (await other.open("psi")).read[...], PSI)
        assert (await qwf_async.ingest(SOURCE, other, "psi", resume=True)).already
        assert (await qwf_async.copy(store, "psi", other, resume=True)).already
        # What went through c8 is not what the source gives.
        await qwf_async.copy(store, "psi", other, "rough", codec="c8")
        await qwf_async.copy(other, "rough", other, "again", codec="c16")
        with pytest.raises(Refused, match="again exists already"):
            await qwf_async.ingest(SOURCE, other, "again", resume=True)
    assert meta(own_server, "again")["fingerprint"].startswith("through c8: ")


async def test_changed_points_are_copied_as_they_are_now(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(SOURCE, store, "psi")
        await (await store.open("psi")).update(3, 4, 5, 1, value=7j)
        await qwf_async.copy(store, "psi", store, "new")
        assert await (await store.open("new")).point(3, 4, 5, 1) == 7j
        assert not (await qwf_async.verify(store, "new")).changed
        await (await store.open("psi")).update(3, 4, 5, 1, value=8j)
        with pytest.raises(Refused, match="exists already"):
            await qwf_async.copy(store, "psi", store, "new", resume=True)


async def test_an_interrupted_copy_goes_on_only_with_the_same_values(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(SOURCE, store, "psi")
        for name in ("one", "two"):
            with pytest.raises(Enough):
                await qwf_async.copy(store, "psi", store, name, hooks=(when_stored(1500, enough),))
        report = await qwf_async.copy(store, "psi", store, "one", resume=True)
        assert report.resumed_chunks
        await (await store.open("psi")).update(0, 0, 0, 0, value=1)
        with pytest.raises(Refused, match="differs in source: stored a copy: psi"):
            await qwf_async.copy(store, "psi", store, "two", resume=True)
        with pytest.raises(Refused, match="differs in source"):
            await qwf_async.ingest(SOURCE, store, "two", resume=True)
        await qwf_async.copy(store, "psi", store, "two", discard=True)
        assert np.array_equal(
            await (await store.open("two")).read[...], await (await store.open("psi")).read[...]
        )


async def test_what_is_replaced_meanwhile_is_not_copied(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(SOURCE, store, "psi")

        def remove() -> None:
            ask(server, "DEL", "qwf:{psi}:meta", *group_keys(server, "s"))

        with pytest.raises(InvalidInput, match="replaced, removed or changed while it was read"):
            await qwf_async.copy(
                store, "psi", store, "new", producers=1, max_rate=50_000, hooks=(when_stored(100, remove),)
            )
    with server.plain as client:
        assert not [key for key in client.scan_iter() if b"new" in key]


async def test_damaged_values_are_not_copied(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(SOURCE, store, "psi")
        ask(server, "HSET", group_keys(server, "s")[-1], "x10_y9_z8_t2", b"\0" * 16)
        with pytest.raises(DamagedData, match=r"chunk .* of psi is not what was written"):
            await qwf_async.copy(store, "psi", store, "new")
        with pytest.raises(InvalidInput, match="there is no wavefunction 'new'"):
            await store.open("new")


async def test_values_that_are_no_numbers_are_copied_as_they_are(server: Server) -> None:
    odd = sources.array(np.array([np.nan, complex(np.inf, -0.0), 1], dtype=np.complex128))
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(odd, store, "psi", allow_nonfinite=True)
        await qwf_async.copy(store, "psi", store, "new", layout="tile")
        values = await (await store.open("new")).read[...]
        assert values.tobytes() == odd.psi.tobytes()


async def test_a_copy_to_itself_is_refused_by_any_address(own_server: Server) -> None:
    async with qwf_async.connect(own_server.url) as store, qwf_async.connect(own_server.url) as same:
        await qwf_async.ingest(SOURCE, store, "psi")
        for way in (qwf_async.copy, qwf_async.move):
            for to in (store, same):
                with pytest.raises(Refused, match="is psi itself"):
                    await way(store, "psi", to, overwrite=True)


async def test_layout_auto_prefers_the_original_form_among_flat_packed_and_tile(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(SOURCE, store, "psi", slab=(1, 11, 2, 9))
        report = await qwf_async.copy(store, "psi", store, "new", layout="auto")
        assert report.layout == "flat"
    assert json.loads(meta(server, "new")["plan"])["chunk"] == [1, 11, 2, 9]


async def test_a_move_removes_the_original_once_the_copy_is_published(own_server: Server) -> None:
    async with qwf_async.connect(own_server.url) as store:
        await qwf_async.ingest(SOURCE, store, "psi")
        report = await qwf_async.move(store, "psi", store, "new")
        assert report.verified
        assert [entry.name for entry in await store.entries()] == ["new"]
        assert np.array_equal(await (await store.open("new")).read[...], PSI)
        again = await qwf_async.move(store, "psi", store, "new", resume=True)
        assert again.already
        with pytest.raises(InvalidInput, match="there is no wavefunction 'psi'"):
            await qwf_async.move(store, "psi", store, "new")
    check_alone(own_server, "new")


async def test_a_move_keeps_an_original_that_was_changed_meanwhile(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(SOURCE, store, "psi")
        await qwf_async.copy(store, "psi", store, "new")
        journal = group_keys(server, "j")[0]

        def change() -> None:  # as `update` does, by another client
            ask(server, "HSET", group_keys(server, "s")[0], "x0_y0_z0_t0", b"\1" * 16)
            ask(server, "HSET", journal, "0", "stale")

        with pytest.raises(InvalidInput, match="while it was read"):
            await qwf_async.move(
                store, "psi", store, "other", hooks=(when_stored(int(0.9 * PSI.size), change),)
            )
        assert await (await store.open("psi")).point(0, 0, 0, 0) != PSI[0, 0, 0, 0]
