"""Random damage to stored values, on a real server: every way of reading names it, or gives what is stored.

The twin reads with plain redis-py, a point at a time: which number a point has, or that it has none.
"""

from __future__ import annotations

import gc
import json
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import redis
import zarr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import qwf_async
from qwf_async import Wavefunction
from qwf_async.errors import DamagedData, QwfError, Refused
from qwf_async.exporting.npy_selection import write_npy
from qwf_async.ingesting.verification import verify
from qwf_async.lattice.selection import Selection
from qwf_async.layout import LAYOUTS
from qwf_async.zarr_store import ZarrStore
from tests.conftest import Server, new_server
from tests.support.fuzzing import check_error, fuzzed, mutated
from tests.support.loads import wave
from tests.support.zarrs import PROTOTYPE

SHAPE = (2, 9, 5, 9)
"""810 points: six full buckets and one that is not; tiles that reach over two edges."""

TILE = (4, 5, 4)
PSI = wave(*SHAPE)
SLAB = (1, 4, 5, 9)
FORMS = [
    *((layout, codec) for layout in LAYOUTS for codec in ("c16", "c8")),
    ("flat", "text10"),
    ("flat", "c16", "slab"),
]
TEXTS = [
    b"", b",", b"1", b"1,", b",1", b"1,2,3", b"1;2", b"1.0000000000, 2.0000000000", b"1.0000000000,2.00000000000",
    b"0x1,0", b"1_0,2", b"--1.0000000000,0.0000000000", b"nan,inf", b"-nan,-inf", b"1e400,1", b"1e-400,0", b"\xff,1",
    b"1,\xd9\xa1", b"1.0000000000,2.000000000\0", b"9" * 400 + b",1", b"1\n,2", b" 1 , 2 ", b".5,5.", b"+1,-0",
    b"\xef\xbc\x91,1", b"1j,2", b"(1+2j)", b"0.123456789012345,1", b"123456.7890123456,0.0000000001", b"-,-",
    b"x" * 3000,
]  # fmt: skip
EXTRA = [
    b"",
    b"0",
    b"00",
    b"-1",
    b"128",
    b"x0_y0_z0_t2",
    b"x00_y0_z0_t0",
    b"c/0/0/0/9",
    b"\xff\0",
    b"x" * 3000,
]


@dataclass(slots=True, kw_only=True, repr=False)
class Ground:
    """A server with a wavefunction in each form, by name, and what each data key held."""

    server: Server
    directory: Path
    held: dict[bytes, bytes] = field(default_factory=dict, repr=False)

    def renew(self) -> None:
        with self.server.plain as client:
            for key, dump in self.held.items():
                client.restore(key, 0, dump, replace=True)


@pytest.fixture(scope="module", autouse=True)
def _zarr_runs() -> None:
    """Its thread, which stays until the process ends, is begun before anything is counted."""
    zarr.array(np.zeros(1))


@pytest.fixture(autouse=True)
def _errors_are_gone() -> Iterator[None]:
    """An error holds the frames that it passed, and so the file that was to be written."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    async def fill(url: str) -> None:
        async with qwf_async.connect(url) as store:
            for layout, codec, *slab in FORMS:
                more: dict[str, Any] = {"tile": TILE} if layout == "tile" else {}
                more |= {"slab": SLAB} if slab else {}
                source, name = qwf_async.sources.array(PSI), ".".join((layout, codec, *slab))
                await qwf_async.ingest(source, store, name, layout=layout, codec=codec, **more)

    for server in new_server("valkey", maxmemory="64mb"):
        anyio.run(fill, server.url)
        found = Ground(server=server, directory=tmp_path_factory.mktemp("out"))
        with server.plain as client:
            found.held = {key: client.dump(key) for key in client.scan_iter("qwf:[^{]*:[^j]*")}
        yield found


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a point lies: key, field, and its number among the points of the field."""

    key: bytes
    field: bytes
    inside: int


def place_of(psi: Wavefunction, point: tuple[int, ...]) -> Place:
    t, x, y, z = point
    group = 3 * t + x // 4 if psi.name.endswith(".slab") else 0  # all else is one chunk
    base = f"qwf:{psi.name}:{{{psi.manifest.generation}.{group}}}:"
    match psi.manifest.form.layout:
        case "flat":
            key, name, inside = "s", f"x{x}_y{y}_z{z}_t{t}", 0
        case "packed":
            number = int(np.ravel_multi_index(point, SHAPE))
            key, name, inside = f"b{number // 128}", str(number % 128), 0
        case _:
            a, b, c = TILE
            key, name = "t", f"c/{t}/{x // a}/{y // b}/{z // c}"
            inside = int(np.ravel_multi_index((x % a, y % b, z % c), TILE))
    return Place(key=(base + key).encode(), field=name.encode(), inside=inside)


def number_in(psi: Wavefunction, value: bytes | None, inside: int) -> complex | None:
    """The number that a stored value has for a point; None if it has none."""
    form = psi.manifest.form
    if value is None:
        return None
    if form.codec == "text10":
        re, _, im = value.partition(b",")
        try:
            return complex(float(re), float(im))
        except ValueError:
            return None
    dtype = np.dtype("<c16" if form.codec == "c16" else "<c8")
    if len(value) != dtype.itemsize * (np.prod(TILE) if form.layout == "tile" else 1):
        return None
    return complex(np.frombuffer(value, dtype)[inside])


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """What is stored of each point: its number, whether it has none, whether its key is of another type."""

    places: NDArray[Any]
    values: NDArray[Any]
    bad: NDArray[np.bool_]
    foreign: NDArray[np.bool_]

    @classmethod
    def of(cls, client: redis.Redis, psi: Wavefunction) -> Twin:
        hashes: dict[bytes, Any] = {}
        twin = cls(
            places=np.empty(SHAPE, object),
            values=np.zeros(SHAPE, psi.dtype),
            bad=np.zeros(SHAPE, bool),
            foreign=np.zeros(SHAPE, bool),
        )
        for point in np.ndindex(SHAPE):
            place = place_of(psi, point)
            if place.key not in hashes:
                kind = client.type(place.key)
                hashes[place.key] = client.hgetall(place.key) if kind in (b"hash", b"none") else None
            twin.places[point] = place
            if hashes[place.key] is None:
                twin.foreign[point] = True
                continue
            number = number_in(psi, hashes[place.key].get(place.field), place.inside)
            twin.bad[point] = number is None
            twin.values[point] = 0 if number is None else number
        return twin

    def check(self, where: Any, read: Any) -> None:
        """What was read of the points `where`, values or an error, is what is stored there.

        With steps the error may be of a point between.
        """
        if not isinstance(read, QwfError):
            assert not (self.bad | self.foreign)[where].any()
            np.testing.assert_array_equal(read, self.values[where], strict=True)
            return
        if isinstance(where, tuple):
            where = tuple(slice(at.start, at.stop) if isinstance(at, slice) else at for at in where)
        bad, foreign = self.bad[where], self.foreign[where]
        check_error(read, *([DamagedData] if not foreign.any() else [DamagedData, Refused]))
        assert bad.any() or foreign.any(), read
        guilty = self.places[where][bad | foreign].reshape(-1) if bad.ndim else [self.places[where]]
        assert any(
            place.key.decode() in str(read)
            and (isinstance(read, Refused) or f"the field {place.field.decode()}" in str(read))
            for place in guilty
        ), read


def damage(client: redis.Redis, chance: random.Random, psi: Wavefunction) -> str:
    point = tuple(chance.randrange(size) for size in SHAPE)
    place = place_of(psi, point)
    if client.type(place.key) != b"hash":
        return ""
    value: Any = client.hget(place.key, place.field) or b""
    match chance.randrange(12):
        case 0 | 1:
            client.hdel(place.key, place.field)
        case 2:
            client.delete(place.key)
        case 3:
            client.delete(place.key)
            other: list[Callable[[], Any]] = [
                lambda: client.set(place.key, value),
                lambda: client.rpush(place.key, *[value] * 3),
                lambda: client.zadd(place.key, {place.field: 1.0}),
            ]
            chance.choice(other)()
        case 4 | 5:
            client.hset(place.key, chance.choice(EXTRA), chance.choice([value, b"", b"x"]))
        case 6 | 7:
            length = chance.choice(
                [0, 1, 2, 4, 8, 15, 16, 17, 32, len(value), len(value) - 1, len(value) + 1]
            )
            client.hset(place.key, place.field, chance.randbytes(max(0, length)))
        case 8 | 9:
            client.hset(place.key, place.field, mutated(value, chance.getrandbits(60)))
        case _:
            client.hset(place.key, place.field, chance.choice(TEXTS))
    return f"{place} was {value[:40]!r}"


@fuzzed(30)
@given(seed=st.integers(0, 2**64))
def test_damaged_values_are_named_and_never_read_as_others(seed: int, ground: Ground) -> None:
    chance = random.Random(seed)
    ground.renew()
    anyio.run(compare, ground, chance, backend_options={"use_uvloop": chance.random() < 0.5})


async def compare(ground: Ground, chance: random.Random) -> None:
    name = ".".join(chance.choice(FORMS))
    async with qwf_async.connect(ground.server.url) as store:
        psi = await store.open(name)
        with ground.server.plain as client:
            for _ in range(chance.choice([1, 1, 1, 2, 3])):
                damage(client, chance, psi)
            twin = Twin.of(client, psi)
        for where, read in readings(chance, psi, twin, ground.directory):
            twin.check(where, await outcome(read))
        frames = psi.frames()
        for number in range(SHAPE[0]):
            read = await outcome(frames.__anext__)
            if isinstance(read, QwfError):
                twin.check(number, read)
                break
            assert read[0] == number
            twin.check(number, read[1])
        await check_verified(store, psi, twin)
        if chance.random() < 0.5:
            await check_zarr(psi, twin, tiles=psi.manifest.form.layout == "tile" and chance.random() < 0.5)


async def outcome(read: Callable[[], Awaitable[Any]]) -> Any:
    """What was read, or the error of ours that was raised."""
    try:
        return await read()
    except QwfError as error:
        return error


def readings(
    chance: random.Random, psi: Wavefunction, twin: Twin, directory: Path
) -> Iterator[tuple[Any, Callable[[], Awaitable[Any]]]]:
    """Ways of reading, each with the points that it reads: those that are damaged, others, and all."""
    guilty = np.argwhere(twin.bad | twin.foreign)
    t, x, y, z = (chance.randrange(size) for size in SHAPE)
    if len(guilty):
        t, x, y, z = chance.choice(guilty.tolist())

    async def point(t: int, x: int, y: int, z: int) -> Any:
        return psi.dtype.type(await psi.point(x, y, z, t))

    async def exported() -> Any:
        path = directory / "out.npy"
        try:
            await write_npy(path, psi, Selection.of(SHAPE, ...), lambda event: None)
        except QwfError:
            assert os.listdir(directory) == []
            raise
        values = np.load(path)
        path.unlink()
        return values

    yield (t, x, y, z), lambda: point(t, x, y, z)
    other = tuple(chance.randrange(size) for size in SHAPE)
    yield other, lambda: point(*other)
    yield (...,), lambda: psi.read[...]
    for at in (x, chance.randrange(SHAPE[1])):
        first, last = sorted((at, chance.randint(0, SHAPE[1])))
        index = (t, slice(first, last + 1), slice(None), slice(z % 3, None, chance.randint(1, 3)))
        yield index, lambda: psi.read[index]  # noqa: B023 # awaited before the next
    some = np.array([other, (t, x, y, z), *(tuple(map(chance.randrange, SHAPE)) for _ in range(5))])
    for rows in (some, some[:1], some[[1, 1]]):
        yield tuple(rows.T), lambda: psi.read_points(rows[:, [1, 2, 3, 0]])  # noqa: B023 # awaited before the next
    yield (...,), exported


async def check_verified(store: qwf_async.Store, psi: Wavefunction, twin: Twin) -> None:
    found = await outcome(lambda: verify(store, psi.name))
    if isinstance(found, QwfError):
        assert twin.foreign.any(), found
        check_error(found, Refused)
        return
    assert not twin.foreign.any()
    as_written = [in_form(PSI, psi), in_form(twin.values, psi)]
    assert bool(found.differences) == bool(twin.bad.any() or as_written[0] != as_written[1])
    for one in found.differences:
        if one.what == "missing":
            twin.check(..., DamagedData(one.detail or ""))


def in_form(values: NDArray[Any], psi: Wavefunction) -> Any:
    """The values as an ingest would write them."""
    if psi.manifest.form.codec == "text10":
        return [f"{value.real:.10f},{value.imag:.10f}" for value in values.reshape(-1).tolist()]
    return values.astype(psi.dtype).tobytes()


async def check_zarr(psi: Wavefunction, twin: Twin, *, tiles: bool) -> None:
    """Each chunk as Zarr reads it."""
    store = ZarrStore(psi, tiles=tiles)
    try:
        metadata = await store.get("psi/zarr.json", PROTOTYPE)
        assert metadata is not None
        chunk = tuple(json.loads(metadata.to_bytes())["chunk_grid"]["configuration"]["chunk_shape"])
        for place in np.ndindex(*(-(-n // m) for n, m in zip(SHAPE, chunk, strict=True))):
            key = "/".join(("psi", "c", *map(str, place)))
            where = tuple(slice(i * m, i * m + m) for i, m in zip(place, chunk, strict=True))
            read = await outcome(lambda: store.get(key, PROTOTYPE))  # noqa: B023 # awaited at once
            if not isinstance(read, QwfError):
                values = np.frombuffer(read.to_bytes(), psi.dtype).reshape(chunk)
                read = values[tuple(slice(n) for n in twin.values[where].shape)]
            twin.check(where, read)
    finally:
        store.close()
