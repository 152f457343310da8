"""Changes in place: what is on the server afterwards, what verify says of it, and what is refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

import qwf_async
from qwf_async import sources
from qwf_async.cli.app import app
from qwf_async.errors import DamagedData, InvalidInput, Refused, UsageError
from qwf_async.ingesting.verification import verify
from qwf_async.lattice.grid import Box, Shape4, shape4
from qwf_async.layout import LAYOUTS, Form, Slab
from qwf_async.wire.buckets import BUCKET
from qwf_async.wire.codec import stored
from tests.conftest import Server
from tests.store.forms import FORMS
from tests.support.loads import contents, wave

pytestmark = pytest.mark.anyio

LAYOUTS_AND_SLABS: list[tuple[str, Slab | None]] = [
    *((layout, None) for layout in LAYOUTS),
    ("flat", "all"),
    ("flat", (1, 5, 12, 7)),
]
SHAPE = (2, 19, 12, 21)
PSI = wave(*SHAPE)

Region = tuple[Any, ...]
REGIONS: list[Region] = [
    (0, slice(3, 17), slice(None), slice(2, 9)),
    (slice(None), slice(None), slice(None), 20),
    (1, 18, 11, 20),
    (slice(0, 2), slice(8, 16), slice(8, 12), slice(8, 16)),
    (...,),
]


def data_keys(psi: qwf_async.Wavefunction) -> list[bytes]:
    """All of them, in the order of the groups."""
    return list(psi.manifest.form.keys(f"qwf:psi:{{{psi.manifest.generation}.".encode()))


def as_stored(codec: str, psi: NDArray[Any]) -> NDArray[Any]:
    """What is read of values that were written, a point at a time for text."""
    if codec != "text10":
        return stored(codec, psi)
    texts = [(f"{v.real:.10f}", f"{v.imag:.10f}") for v in psi.reshape(-1).tolist()]
    return np.array([complex(float(re), float(im)) for re, im in texts]).reshape(psi.shape)


@pytest.mark.parametrize(("layout", "codec", "slab"), FORMS)
@pytest.mark.usefixtures("small_chunks")
async def test_a_changed_store_is_as_if_the_changed_array_had_been_ingested(
    each_server: Server, layout: str, codec: str, slab: Slab | None
) -> None:
    """Byte for byte: the values and their fields, padding of tiles and kinds of hashes included.

    The journal too, but for the chunks that were changed.
    """
    form: dict[str, Any] = {"layout": layout, "codec": codec, "slab": slab}
    changed, new = PSI.copy(), wave(*SHAPE, seed=5) * 1e3
    async with qwf_async.connect(each_server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", **form)
        psi = await store.open("psi")
        for region in REGIONS[:-1]:
            changed[region] = new[region]
            await psi.update_region(region, new[region])
            assert np.array_equal(await psi.read[...], as_stored(codec, changed))
        changed[1, 2, 3, 4] = 0.5 - 2j
        await psi.update(2, 3, 4, 1, value=0.5 - 2j)
        assert await psi.point(2, 3, 4, 1) == 0.5 - 2j
        await qwf_async.ingest(sources.array(changed), store, "chi", **form)
        ours, other = psi.manifest, (await store.open("chi")).manifest
    held = contents(each_server)
    pick = {name: f"qwf:{name}:{{{m.generation}.".encode() for name, m in (("psi", ours), ("chi", other))}
    data = {name: {k[len(p) :]: v for k, v in held.items() if k.startswith(p)} for name, p in pick.items()}
    plan, chunks = ours.plan, np.empty(SHAPE, np.int64)
    for point in np.ndindex(SHAPE):
        chunks[point] = plan.holding(shape4(point))
    touched = {int(n) for n in np.unique(chunks[changed != PSI])}
    journals = {name: taken_journals(some) for name, some in data.items()}
    assert journals["psi"] == journals["chi"] | dict.fromkeys((b"%d" % n for n in touched), b"stale")
    assert data["psi"] == data["chi"]
    with each_server.plain as client:
        kinds = {
            name: {client.object("encoding", k) for k in client.keys(p + b"*")} for name, p in pick.items()
        }
    assert kinds["psi"] == kinds["chi"]


@pytest.mark.parametrize(("layout", "slab"), LAYOUTS_AND_SLABS)
@pytest.mark.usefixtures("small_chunks")
async def test_verify_tells_changed_chunks_from_damaged_ones(
    server: Server, layout: str, slab: Slab | None
) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout=layout, slab=slab)
        psi = await store.open("psi")
        plan = psi.manifest.plan
        await psi.update(0, value=2)
        found = await verify(store, "psi")
        assert (found.differing, found.changed) == ([], [plan.holding((0, 0, 0, 0))])
        await psi.update_region((1, 18), np.zeros(SHAPE[2:]))
        touched = {plan.holding((1, 18, y, z)) for y in range(SHAPE[2]) for z in range(SHAPE[3])}
        found = await verify(store, "psi")
        assert (found.differing, set(found.changed)) == ([], touched | {plan.holding((0, 0, 0, 0))})
        key = data_keys(psi)[0]
        field = {"flat": b"x0_y0_z0_t0", "packed": b"0", "tile": b"c/0/0/0/0"}[layout]
        with server.plain as client:
            client.hdel(key, field)  # a changed chunk with a value missing is damaged all the same
        assert (await verify(store, "psi")).differing == [plan.holding((0, 0, 0, 0))]


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_what_was_replaced_or_removed_is_not_changed_and_not_brought_back(
    server: Server, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout=layout)
        old = await store.open("psi")
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout=layout, overwrite=True)
        before = contents(server)
        with pytest.raises(Refused, match="replaced or removed"):
            await old.update(1, 2, 3, value=1)
        with pytest.raises(Refused, match="replaced or removed"):
            await old.update_region(0, PSI[0])
        assert contents(server) == before
        # As if it had been replaced between the look and the data: the scripts find no fields.
        current = await store.open("psi")
        with server.plain as client:
            client.unlink(*client.keys(f"qwf:psi:{{{current.manifest.generation}.*"))
        before = contents(server)

        async def as_before(*_: object) -> None:
            """What was there when it was looked at."""

        monkeypatch.setattr("qwf_async.store.updating.read_box", as_before)
        for attempt in (current.update(1, 2, 3, value=1), current.update_region(0, PSI[0])):
            with pytest.raises(DamagedData, match="lacks its value"):
                await attempt
        after = contents(server)
        assert after.keys() == before.keys()


@pytest.mark.parametrize(("layout", "slab"), LAYOUTS_AND_SLABS)
@pytest.mark.parametrize("damage", ["missing", "short"])
@pytest.mark.usefixtures("small_chunks")
async def test_what_is_damaged_is_named_and_nothing_is_changed(
    server: Server, layout: str, slab: Slab | None, damage: str
) -> None:
    """The last point: of a region all chunks but one are whole."""
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout=layout, slab=slab)
        psi = await store.open("psi")
        key = data_keys(psi)[-1]
        field = {
            "flat": b"x18_y11_z20_t1",
            "packed": b"%d" % ((PSI.size - 1) % BUCKET),
            "tile": b"c/1/2/1/2",
        }[layout]
        with server.plain as client:
            if damage == "missing":
                client.hdel(key, field)
            else:
                client.hset(key, field, b"short")
        before = contents(server)
        named = f"{key.decode()} (lacks|holds 5 bytes .*) the field {field.decode()}: overwrite=True"
        for attempt in (psi.update(18, 11, 20, 1, value=1), psi.update_region(..., PSI * 2)):
            with pytest.raises(DamagedData, match=named):
                await attempt
        assert contents(server) == before


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_bad_changes_are_refused_and_change_nothing(server: Server, layout: str) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout=layout, codec="c8")
        psi = await store.open("psi")
        before = contents(server)
        points: list[tuple[tuple[Any, ...], Any, str]] = [
            ((19, 0, 0), 1, "x = 19 is outside"),
            ((-20, 0, 0), 1, "x = -20 is outside"),
            ((1.5, 0, 0), 1, "an index is an integer"),
            ((0, 0, 0, 2), 1, "t = 2 is outside"),
            ((0, 0, 0), "1j", "values of type"),
            ((0, 0, 0), None, "values of type"),
            ((0, 0, 0), [1], r"have the shape \(1,\)"),
            ((0, 0, 0), float("nan"), "NaN or infinity"),
            ((0, 0, 0), complex(0, float("inf")), "NaN or infinity"),
            ((0, 0, 0), 1e39, "too large for complex64"),
        ]
        for point, value, why in points:
            with pytest.raises(InvalidInput, match=why):
                await psi.update(*point, value=value)
        regions: list[tuple[Any, Any, str]] = [
            ((0, 0, 0, 0, 0), 1, "too many indices"),
            ((0, 19), np.zeros((12, 21)), "x = 19 is outside"),
            ((0, slice(None, None, 2)), np.zeros((10, 12, 21)), "cannot have steps"),
            ((0, [1, 2]), np.zeros((2, 12, 21)), "integers, slices"),
            (0, np.zeros((19, 12, 20)), "have the shape"),
            (0, 1.0, "have the shape"),
            ((0, 0, 0), [[1, 2], [3]], "no array of numbers"),
            ((0, 0, 0), np.full(21, np.inf), "NaN or infinity"),
            ((0, 0, 0), np.zeros(21, bool), "values of type bool"),
        ]
        for index, values, why in regions:
            with pytest.raises(InvalidInput, match=why):
                await psi.update_region(index, values)
        await psi.update_region((0, slice(5, 5)), np.zeros((0, 12, 21)))
        assert contents(server) == before
        await psi.update(1, value=np.nan, allow_nonfinite=True)
        assert np.isnan((await psi.point(1)).real)


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_concurrent_changes_of_neighbours_are_all_kept(each_server: Server, layout: str) -> None:
    new = wave(16, 16, seed=8)
    async with qwf_async.connect(each_server.url) as store:
        await qwf_async.ingest(sources.array(PSI[:1, :16, :, :16]), store, "psi", layout=layout)
        psi = await store.open("psi")
        async with anyio.create_task_group() as tasks:
            for x, z in np.ndindex(16, 16):
                tasks.start_soon(partial(psi.update, x, 3, z, value=complex(new[x, z])))
        assert np.array_equal(await psi.read[0, :, 3], new)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_region_of_any_shape_and_tile_is_changed_and_nothing_else(server: Server, data: Any) -> None:
    """Against NumPy's own assignment, over one connection."""
    shape = shape4(data.draw(st.tuples(*[st.integers(1, n) for n in (2, 13, 13, 13)])))
    layout = data.draw(st.sampled_from(list(LAYOUTS)))
    tile = None
    if LAYOUTS[layout].default_tile(shape) is not None:
        a, b, c = (data.draw(st.integers(1, n)) for n in shape[1:])
        tile = (a, b, c)
    ends = [sorted((data.draw(st.integers(0, n - 1)), data.draw(st.integers(1, n)))) for n in shape]
    box = Box(start=shape4(a for a, _ in ends), stop=shape4(max(a + 1, b) for a, b in ends))
    slab = data.draw(slabs(shape)) if LAYOUTS[layout].slabs else None
    form = Form.of(layout=layout, codec="c16", shape=shape, tile=tile, slab=slab)
    held, plan = form.open(b"qwf:any:{0."), form.plan
    whole = Box(start=(0, 0, 0, 0), stop=shape)
    psi, new = wave(*shape), wave(*box.shape, seed=1)
    with server.plain as client:
        client.flushall()
        for chunk in plan:  # one, but for slabs
            values = psi.reshape(-1) if chunk.flat else psi[chunk.box.slices]
            send(client, held.encode(chunk, values, 0.0).parts, int)
        for number, pieces in plan.touched(box):
            for piece in pieces:
                send(client, held.changes(number, piece, new[piece.within(box)]), int)
        replies = send(client, held.requests(whole), list)
    psi[box.slices] = new
    assert np.array_equal(held.values(whole, replies), psi)


def taken_journals(data: dict[bytes, Any]) -> dict[bytes, bytes]:
    """The lines of all journals among keys without their beginnings, which are taken away."""
    keys = [key for key in data if key.endswith(b"}:j")]
    return {chunk: line for key in keys for chunk, line in data.pop(key).items()}


def slabs(shape: Shape4) -> st.SearchStrategy[Slab | None]:
    """Any slab of layout flat on a grid."""
    return st.none() | st.just("all") | st.tuples(*(st.integers(1, n) for n in shape))  # type: ignore[return-value] # four


def send(client: Any, parts: Any, kind: type) -> list[Any]:
    """The replies to encoded requests, by redis-py's own connection."""
    connection = client.connection_pool.get_connection()
    try:
        connection.send_packed_command([bytes(buffer) for part in parts for buffer in part.buffers])
        replies = [connection.read_response() for part in parts for _ in range(part.requests)]
    finally:
        client.connection_pool.release(connection)
    assert all(isinstance(reply, kind) for reply in replies), replies
    return replies


async def test_a_bucket_is_left_whole_by_a_change_that_finds_a_field_missing(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout="packed")
        psi = await store.open("psi")
        key = f"qwf:psi:{{{psi.manifest.generation}.0}}:b0"
        with server.plain as client:
            client.hdel(key, BUCKET - 1)
            before = client.hgetall(key)
            with pytest.raises(DamagedData, match=f"{key} lacks the field {BUCKET - 1}"):
                await psi.update_region(0, PSI[0] * 2)
            assert client.hgetall(key) == before


async def test_a_large_region_takes_a_few_requests_a_chunk(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        big = wave(1, 64, 64, 32)
        await qwf_async.ingest(sources.array(big), store, "psi")
        psi = await store.open("psi")
        borrowed = store.pool.counts.borrowed
        await psi.update_region(..., big * 2)
        assert store.pool.counts.borrowed - borrowed == 3 * len(psi.manifest.plan)


def test_set_changes_a_point_and_verify_says_so(server: Server) -> None:
    async def store_it() -> None:
        async with qwf_async.connect(server.url) as store:
            await qwf_async.ingest(sources.array(PSI), store, "psi")

    anyio.run(store_it)

    def qwf(*arguments: str) -> Any:
        return CliRunner().invoke(app, [*arguments, "-u", server.url])

    assert qwf("set", "psi", "3", "4", "5", "--t", "1", "--value", "0.5,-0.25").exit_code == 0
    assert qwf("get", "psi", "3", "4", "5", "--t", "1", "--quiet").stdout == "0.5,-0.25\n"
    told = qwf("verify", "psi")
    assert (told.exit_code, told.stdout) == (0, "")
    assert "1 of 1 chunks were changed on purpose since" in told.stderr
    assert isinstance(qwf("set", "psi", "0", "--value", "1;2").exception, UsageError)
    assert isinstance(qwf("set", "psi", "99", "--value", "1").exception, InvalidInput)
    assert isinstance(qwf("set", "psi", "0", "--value", "nan").exception, InvalidInput)
    assert qwf("set", "psi", "0").exit_code == 2


async def test_a_journal_that_is_gone_is_not_begun_anew(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        psi = await store.open("psi")
        journal = f"qwf:psi:{{{psi.manifest.generation}.0}}:j"
        with server.plain as client:
            client.unlink(journal)
            await psi.update(0, value=1)
            assert not client.exists(journal)


@pytest.mark.parametrize(("layout", "slab"), LAYOUTS_AND_SLABS)
async def test_a_key_of_another_type_is_named_whether_it_holds_the_journal_or_the_data(
    each_server: Server, layout: str, slab: Slab | None
) -> None:
    async with qwf_async.connect(each_server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout=layout, slab=slab)
        psi = await store.open("psi")
        key = data_keys(psi)[0].decode()
        journal = f"{key.partition('}')[0]}}}:j"
        with each_server.plain as client:
            client.delete(journal)
            client.set(journal, "no hash")
            with pytest.raises(Refused, match=f"or its journal {journal}: a key of another type"):
                await psi.update(0, 0, 0, value=1j)
            assert await psi.point(0, 0, 0) == PSI[0, 0, 0, 0]
            client.delete(key)
            client.set(key, "no hash")
        with pytest.raises(Refused, match=f"reading {key}: a key of another type"):
            await psi.info()
