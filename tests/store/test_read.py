"""Reading by index, by points and by frames, of every layout, held against NumPy; and what is damaged or replaced."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
import pytest
import redis
from numpy.typing import NDArray

import qwf_async
from qwf_async.client.retry import Retry
from qwf_async.errors import DamagedData, InvalidInput, QwfError, Refused
from qwf_async.lattice.grid import Axis, Grid
from qwf_async.lattice.selection import Selection
from qwf_async.layout import LAYOUTS, Slab
from tests.conftest import PATIENCE, Server
from tests.store.forms import FORMS
from tests.support.loads import ask, wave
from tests.support.waiting import until

pytestmark = pytest.mark.anyio
SHAPE = (3, 17, 13, 11)
forms = pytest.mark.parametrize(("layout", "codec", "slab"), FORMS)
layouts = pytest.mark.parametrize("layout", LAYOUTS)
Read = Callable[[qwf_async.Wavefunction], Coroutine[Any, Any, Any]]


def as_stored(psi: NDArray[Any], codec: str) -> NDArray[Any]:
    """What should be read back."""
    if codec != "text10":
        return psi.astype("c8" if codec == "c8" else "c16")
    texts = [complex(float(f"{v.real:.10f}"), float(f"{v.imag:.10f}")) for v in psi.reshape(-1)]
    return np.array(texts).reshape(psi.shape)


async def stored(store: qwf_async.Store, psi: NDArray[Any], **form: Any) -> qwf_async.Wavefunction:
    await qwf_async.ingest(qwf_async.sources.array(psi), store, "psi", overwrite=True, **form)
    return await store.open("psi")


def some_index(rng: random.Random) -> tuple[Any, ...]:
    """Anything of NumPy's basic indexing."""

    def item(size: int) -> Any:
        if rng.random() < 0.3:
            return rng.randrange(-size, size)
        start, stop = (rng.choice([None, rng.randrange(-size - 2, size + 3)]) for _ in range(2))
        return slice(start, stop, rng.choice([None, 1, 2, 3, 7, 20, -1, -2, -9]))

    items = [item(size) for size in SHAPE]
    if rng.random() < 0.3:
        items[rng.randrange(4) :] = [...]
    return tuple(items)


@forms
@pytest.mark.usefixtures("small_chunks")
async def test_what_is_read_is_what_numpy_selects(
    each_server: Server, layout: str, codec: str, slab: Slab | None
) -> None:
    psi = wave(*SHAPE)
    wanted = as_stored(psi, codec)
    rng = random.Random(layout + codec)
    async with qwf_async.connect(each_server.url) as store:
        held = await stored(store, psi, layout=layout, codec=codec, slab=slab)
        everything = await held.read[...]
        assert everything.dtype == wanted.dtype == held.dtype
        assert everything.dtype.isnative
        assert np.array_equal(everything, wanted)
        for _ in range(25):
            index = some_index(rng)
            found = await held.read[index]
            assert found.shape == np.shape(wanted[index])
            assert np.array_equal(found, wanted[index]), index
        assert await held.point(16, 12, 10, 2) == wanted[2, 16, 12, 10]


@forms
@pytest.mark.usefixtures("small_chunks")
async def test_points_are_read_in_any_order_and_any_number_of_times(
    each_server: Server, layout: str, codec: str, slab: Slab | None
) -> None:
    psi = wave(*SHAPE)
    wanted = as_stored(psi, codec)
    rng = np.random.default_rng(3)
    async with qwf_async.connect(each_server.url) as store:
        held = await stored(store, psi, layout=layout, codec=codec, slab=slab)
        for count in (0, 1, 7, 20_000):
            points = np.stack([rng.integers(0, n, count) for n in (*SHAPE[1:], SHAPE[0])], axis=1)
            x, y, z, t = points.T
            found = await held.read_points(points)
            assert found.dtype == held.dtype
            assert np.array_equal(found, wanted[t, x, y, z])
        assert (await held.read_points([[1, 2, 3, 0], [1, 2, 3, 0]])).tolist() == [wanted[0, 1, 2, 3]] * 2
        unsigned = np.array([[16, 12, 10, 2]], np.uint8)
        assert (await held.read_points(unsigned)).tolist() == [wanted[2, 16, 12, 10]]
        assert (await held.read_points([[-1, -13, 10, -3]])).tolist() == [wanted[0, 16, 0, 10]]
        with pytest.raises(InvalidInput, match="rows 1; row 1 is x = -18"):
            await held.read_points([[-17, 0, 0, 0], [-18, 0, 0, 0]])


@pytest.mark.parametrize("shape", [(1, 128, 1, 1), (1, 129, 1, 1), (2, 1000, 1, 1), (1, 300, 300, 3)])
@layouts
async def test_grids_that_fill_no_bucket_tile_or_chunk_evenly(
    server: Server, layout: str, shape: tuple[int, ...]
) -> None:
    psi = wave(*shape)
    async with qwf_async.connect(server.url) as store:
        held = await stored(store, psi, layout=layout)
        assert np.array_equal(await held.read[...], psi)
        assert np.array_equal(await held.read[:, 3:-2], psi[:, 3:-2])
        last = [n - 1 for n in (*shape[1:], shape[0])]
        assert (await held.read_points([last]))[0] == psi[-1, -1, -1, -1]


async def test_frames_come_in_time_order_with_their_times(server: Server) -> None:
    psi = wave(3, 4, 3, 2)
    known = Grid(
        shape=(3, 4, 3, 2), axes=(Axis(origin=0.5, step=0.25, unit="hbar/Eh"), Axis(), Axis(), Axis())
    )
    async with qwf_async.connect(server.url) as store:
        held = await stored(store, psi)
        assert [time async for time, _ in held.frames()] == [0, 1, 2]
        await qwf_async.ingest(qwf_async.sources.array(psi, grid=known), store, "timed")
        frames = [found async for found in (await store.open("timed")).frames()]
        assert [time for time, _ in frames] == [0.5, 0.75, 1.0]
        assert np.array_equal([frame for _, frame in frames], psi)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([[0, 0, 0, 0], [17, 0, 0, 0], [0, 0, 0, -4]], "2 of 3 points .* rows 1, 2; row 1 is x = 17, y = 0"),
        ([[0, 0, 0, 3]], "row 0 is x = 0, y = 0, z = 0, t = 3"),
        ([[0, 0, 0]], r"shape \(1, 3\)"),
        ([0, 0, 0, 0], r"shape \(4,\)"),
        ([[0.0, 0, 0, 0]], "float64"),
        ([[0, 0], [0]], "rows of four integers"),
    ],
)
async def test_points_that_cannot_be_read_are_named(server: Server, points: Any, words: str) -> None:
    async with qwf_async.connect(server.url) as store:
        held = await stored(store, wave(*SHAPE))
        with pytest.raises(InvalidInput, match=words):
            await held.read_points(points)
        with pytest.raises(InvalidInput, match="x = 17 is outside"):
            await held.read[0, 17]


DAMAGES: dict[str, tuple[list[tuple[str, ...]], str]] = {
    "flat": ([("HDEL", "{base}.0}}:s", "x1_y2_z3_t0")], "{base}.0}}:s lacks the field x1_y2_z3_t0"),
    "packed": ([("HDEL", "{base}.0}}:b1", "40")], "{base}.0}}:b1 lacks the field 40"),
    "tile": ([("HDEL", "{base}.0}}:t", "c/0/0/0/0")], "{base}.0}}:t lacks the field c/0/0/0/0"),
    "packed, short": ([("HSET", "{base}.0}}:b1", "40", "abc")], "{base}.0}}:b1 holds 3 bytes .* the field 40"),
    "tile, short": ([("HSET", "{base}.0}}:t", "c/0/0/0/0", "abc")], "holds 3 bytes"),
    "flat, short": ([("HSET", "{base}.0}}:s", "x1_y2_z3_t0", "abc")], "holds 3 bytes .* the field x1_y2_z3_t0"),
    "packed, gone": ([("DEL", "{base}.0}}:b1")], "{base}.0}}:b1 lacks the field"),
    "flat, gone": ([("DEL", "{base}.0}}:s")], "{base}.0}}:s lacks the field"),
    "tile, gone": ([("DEL", "{base}.0}}:t")], "{base}.0}}:t lacks the field"),
}  # fmt: skip
POINT = (1, 2, 3, 0)
READS: dict[str, Read] = {
    "point": lambda held: held.point(*POINT),
    "points": lambda held: held.read_points([POINT, (0, 0, 0, 2)]),
    "everything": lambda held: held.read[...],
    "a plane": lambda held: held.read[0, :, 2],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("reading", READS)
@pytest.mark.usefixtures("small_chunks")
async def test_what_is_damaged_on_the_server_is_named_and_not_waited_for(
    server: Server, damage: str, reading: str
) -> None:
    commands, words = DAMAGES[damage]
    async with qwf_async.connect(server.url) as store:
        held = await stored(store, wave(*SHAPE), layout=damage.partition(",")[0])
        base = f"qwf:psi:{{{held.manifest.generation}"
        for command in commands:
            ask(server, *(word.format(base=base) for word in command))
        with anyio.fail_after(PATIENCE / 2), pytest.raises(DamagedData, match=words.format(base=base)):
            await READS[reading](held)
        assert np.isfinite(await held.point(0, 0, 0, 2))


@pytest.mark.parametrize("reading", READS)
@layouts
async def test_a_foreign_key_in_the_way_is_named(server: Server, layout: str, reading: str) -> None:
    keys = {"flat": "s", "packed": "b1", "tile": "t"}
    async with qwf_async.connect(server.url) as store:
        held = await stored(store, wave(*SHAPE), layout=layout)
        key = f"qwf:psi:{{{held.manifest.generation}.0}}:{keys[layout]}"
        ask(server, "SET", key, "something else")
        with anyio.fail_after(PATIENCE / 2), pytest.raises(Refused, match=f"reading {key}: .*another type"):
            await READS[reading](held)


@pytest.mark.parametrize("reading", READS)
@layouts
async def test_a_reader_of_a_replaced_generation_is_told(server: Server, layout: str, reading: str) -> None:
    async with qwf_async.connect(server.url) as store:
        old = await stored(store, wave(*SHAPE), layout=layout)
        await stored(store, wave(*SHAPE, seed=1), layout=layout)
        with pytest.raises(Refused, match="psi was replaced or removed since it was opened"):
            await READS[reading](old)
        await store.remove("psi")
        with pytest.raises(Refused, match="was replaced or removed"):
            await READS[reading](old)


@layouts
async def test_replacing_while_reading_gives_the_old_values_or_an_error_and_never_a_mixture(
    server: Server, layout: str
) -> None:
    waves = [wave(2, 16, 16, 16, seed=seed) for seed in range(4)]
    points = np.random.default_rng(0).integers(0, (16, 16, 16, 2), (3000, 4))
    x, y, z, t = points.T
    told = whole = 0
    async with qwf_async.connect(server.url) as store:
        held = await stored(store, waves[0], layout=layout)

        replaced = anyio.Event()

        async def replace() -> None:
            for number in (*range(1, 4), 0) * 2:
                await stored(store, waves[number], layout=layout)
            replaced.set()

        async with anyio.create_task_group() as group:
            group.start_soon(replace)
            while not replaced.is_set() or told + whole < 6:
                held = await store.open("psi")
                for _ in range(3):
                    try:
                        found, some = await held.read[...], await held.read_points(points)
                    except Refused:
                        told += 1
                        break
                    (own,) = [psi for psi in waves if psi[0, 0, 0, 0] == found[0, 0, 0, 0]]
                    assert np.array_equal(found, own)
                    assert np.array_equal(some, own[t, x, y, z])
                    whole += 1


@pytest.mark.parametrize("hindrance", ["none", "compression", "no permission"])
async def test_buckets_are_read_by_dump_where_the_server_gives_them_as_they_are(
    each_own_server: Server, hindrance: str
) -> None:
    psi = np.zeros(SHAPE, complex) if hindrance == "compression" else wave(*SHAPE)
    ask(each_own_server, "CONFIG", "SET", "rdbcompression", "yes" if hindrance == "compression" else "no")
    if hindrance == "no permission":
        ask(each_own_server, "ACL", "SETUSER", "default", "-dump")
    async with qwf_async.connect(each_own_server.url) as store:
        held = await stored(store, psi, layout="packed")
        ask(each_own_server, "CONFIG", "RESETSTAT")
        for _ in range(3):
            assert np.array_equal(await held.read[0], psi[0])
    with each_own_server.plain as client:
        stats = client.info("commandstats")
    calls = {
        name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("dump", "hgetall", "hmget")
    }
    buckets = -(-psi[0].size // 128)
    if hindrance == "none":
        assert (calls["dump"], calls["hgetall"], calls["hmget"]) == (3 * buckets, 0, 0)
    else:  # tried with the first read alone, and once more to learn why
        assert calls["dump"] <= buckets + 1
        assert calls["hmget"] == 0
        assert calls["hgetall"] == 3 * buckets


@pytest.mark.parametrize("limit", ["64", "128"])
async def test_buckets_that_are_no_listpacks_are_read_all_the_same(own_server: Server, limit: str) -> None:
    psi = wave(*SHAPE)
    ask(own_server, "CONFIG", "SET", "hash-max-listpack-entries", limit)
    async with qwf_async.connect(own_server.url) as store:
        held = await stored(store, psi, layout="packed", write_mode="hset")
        encoding = ask(own_server, "OBJECT", "ENCODING", f"qwf:psi:{{{held.manifest.generation}.0}}:b0")
        assert encoding == (b"hashtable" if limit == "64" else b"listpack")
        ask(own_server, "CONFIG", "RESETSTAT")
        assert np.array_equal(await held.read[0, :10], psi[0, :10])
        # Whole buckets are read as bytes; where a reply has another order, they are read again field by field.
        with own_server.plain as client:
            calls = client.info("commandstats").get("cmdstat_hmget", {"calls": 0})["calls"]
        assert calls >= (10 * psi[0, 0].size // 128 if limit == "64" else 0)
        assert limit == "64" or calls <= 2  # the buckets at the ends are not read whole


async def test_replies_are_never_mixed_after_cancelled_reads(server: Server) -> None:
    psi, rng = wave(1, 32, 32, 32), random.Random(5)
    async with qwf_async.connect(server.url) as store:
        held = await stored(store, psi, layout="packed")
        ended = 0
        for _ in range(60):
            with anyio.move_on_after(rng.random() * 0.01):
                assert np.array_equal(await held.read[...], psi)
                ended += 1
            x = rng.randrange(32)
            assert await held.point(x, 1, 2) == psi[0, x, 1, 2]
        assert ended < 60


@layouts
async def test_reading_waits_for_a_server_that_is_busy_with_a_script(
    own_server: Server, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    psi = wave(*SHAPE)
    ask(own_server, "CONFIG", "SET", "busy-reply-threshold", "1")
    waiting = anyio.Event()
    pause = Retry.pause

    def pause_and_tell(retry: Retry, failures: int, elapsed: float) -> float | None:
        waiting.set()
        return pause(retry, failures, elapsed)

    def is_busy() -> bool:
        try:
            return not ask(own_server, "PING")
        except redis.exceptions.ResponseError as error:
            return str(error).startswith("BUSY")

    def loop_for_ever() -> None:
        with suppress(redis.exceptions.ResponseError):  # it is killed
            ask(own_server, "EVAL", "while true do end", 0)

    async def kill_script() -> None:
        await waiting.wait()
        ask(own_server, "SCRIPT", "KILL")

    async with qwf_async.connect(own_server.url) as store:
        held = await stored(store, psi, layout=layout)
        for read in (held.read[0, :8], held.read_points([[1, 2, 3, 0]])):
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.to_thread.run_sync, loop_for_ever)
                await until(is_busy)
                waiting = anyio.Event()
                monkeypatch.setattr(Retry, "pause", pause_and_tell)
                group.start_soon(kill_script)
                found = await read
            wanted = psi[0, :8] if found.ndim == 3 else psi[0, 1:2, 2, 3]
            assert np.array_equal(found, wanted)


async def test_one_error_ends_the_reading_of_all_boxes(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        held = await stored(store, wave(1, 80, 80, 80), layout="tile")
        ask(server, "DEL", f"qwf:psi:{{{held.manifest.generation}.1}}:t")
        with pytest.raises(QwfError) as caught:
            await held.read[...]
        assert type(caught.value) is DamagedData


@pytest.mark.parametrize(("layout", "bound"), [("flat", 72), ("packed", 28), ("tile", 28)])
async def test_memory_is_bounded_by_the_result_and_a_constant(
    server: Server, tmp_path: Path, layout: str, bound: int
) -> None:
    """The result is a file here: 2,097,152 points, 32 MiB. As objects of Python they would be 100 MiB and more."""
    grid = Grid.cube(128, box=10)
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(qwf_async.sources.gaussian(grid=grid), store, "psi", layout=layout)
        held = await store.open("psi")
        file = np.lib.format.open_memmap(tmp_path / "psi.npy", "w+", held.dtype, grid.shape)
        before, most, told = anonymous_memory(), 0, 0

        def done(points: int) -> None:
            nonlocal most, told
            most, told = max(most, anonymous_memory()), told + points

        await held.read_selection(Selection.of(grid.shape, ...), file, done=done)
        assert told == grid.points
        assert most - before < bound * 2**20
        assert np.array_equal(file[0, 64], await held.read[0, 64])


def anonymous_memory() -> int:
    """Memory of this process that no file backs, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
