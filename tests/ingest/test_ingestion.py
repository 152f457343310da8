"""Ingest from a source to a published wavefunction: every point by another road, and names in use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
import pytest
from numpy.typing import NDArray

import qwf_async
from qwf_async import sources
from qwf_async.errors import DamagedData, Refused
from qwf_async.events import Event, Progress
from qwf_async.lattice.grid import Box, Grid
from qwf_async.source import Source
from qwf_async.wire.codec import CODECS
from tests.conftest import PATIENCE, Server
from tests.support.loads import (
    Events,
    Watched,
    ask,
    check_alone,
    check_points,
    contents,
    data_keys,
    ingested,
    leave_unfinished,
    plain_fields,
    published,
    refusal,
    taken,
    wave,
    when_stored,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks", "time_to_settle")]

CUBE = Grid.cube(9, box=12.0, frames=2, dt=0.3)


def saved(directory: Path, psi: NDArray[Any]) -> Path:
    path = directory / "psi.npy"
    np.save(path, psi)
    return path


SOURCES: dict[str, Callable[[Path], Source]] = {
    "array": lambda _: sources.array(wave(2, 9, 8, 7)),
    "array, Fortran": lambda _: sources.array(np.asfortranarray(wave(2, 9, 8, 7))),
    "array, complex64": lambda _: sources.array(wave(2, 9, 8, 7).astype(np.complex64)),
    "array, real": lambda _: sources.array(wave(2, 9, 8, 7).real, dims="t,x,y,z"),
    "file": lambda directory: sources.npy(saved(directory, wave(2, 9, 8, 7))),
    "file, Fortran": lambda directory: sources.npy(saved(directory, np.asfortranarray(wave(2, 9, 8, 7)))),
    "file, big-endian": lambda directory: sources.npy(saved(directory, wave(2, 9, 8, 7).astype(">c16"))),
    "function": lambda _: sources.function(lambda t, x, y, z: np.exp(1j * t - x**2 - y * z), grid=CUBE),
    "gaussian": lambda _: sources.gaussian(grid=CUBE),
    "plane": lambda _: sources.plane(grid=CUBE),
    "box": lambda _: sources.box(grid=CUBE),
    "harmonic": lambda _: sources.harmonic(grid=CUBE),
    "coherent": lambda _: sources.coherent(grid=CUBE),
    "hydrogen": lambda _: sources.hydrogen(3, 2, 1, grid=CUBE),
}
SHAPES = [(1500,), (40, 37), (2, 9, 11, 10), (1, 1, 1), (30, 1, 1, 70), (1, 3, 1, 1100)]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("kind", SOURCES)
async def test_every_point_of_every_source_is_stored(
    each_server: Server, kind: str, codec: str, tmp_path: Path
) -> None:
    source = SOURCES[kind](tmp_path)
    try:
        report = await ingested(each_server, source, codec=codec)
        psi = source.read(source.grid.whole)
    finally:
        source.close()
    check_points(each_server, psi, codec=codec)
    check_alone(each_server)
    assert (report.points, report.shape, report.codec) == (psi.size, psi.shape, codec)
    if source.grid.cell_volume is None:
        assert report.norm is None
    else:
        density = np.abs(psi.astype(np.complex128)) ** 2
        assert report.norm == pytest.approx(density.sum() * source.grid.cell_volume / len(psi), rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
async def test_grids_of_every_dimension_are_stored_in_ragged_chunks(
    server: Server, shape: tuple[int, ...], order: str
) -> None:
    source = sources.array(np.asarray(wave(*shape), order="F" if order == "F" else "C"))
    await ingested(server, source)
    check_points(server, source.psi)


async def test_chunks_of_the_usual_size_are_stored(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # twelve chunks of 16,384 points, whose fields have three numbers of digits
    psi = wave(1, 12, 128, 128)
    events = Events()
    report = await ingested(server, sources.array(psi), hooks=(events,), verify=True)
    check_points(server, psi)
    loading, verifying = (
        [each.points for each in events.progress if each.phase == p] for p in ("", "verifying")
    )
    assert loading == [16_384 * n for n in range(13)]
    assert verifying == [16_384 * n for n in range(1, 13)]
    assert report.verified


async def test_the_report_says_what_was_done(server: Server) -> None:
    psi = wave(2, 10, 10, 10)
    grid = Grid.cube(10, box=5.0, frames=2, dt=0.1)
    events = Events()
    report = await ingested(server, sources.array(psi, grid), hooks=(events,), writers=3)
    assert report.name == "psi"
    assert report.generation == published(server)
    assert (report.layout, report.codec, report.shape, report.points) == (
        "flat",
        "c16",
        (2, 10, 10, 10),
        2000,
    )
    assert report.bytes_sent == events.progress[-1].bytes_sent > 2000 * (16 + len("x0_y0_z0_t0"))
    assert report.points_per_s == pytest.approx(2000 / report.seconds)
    assert report.bytes_per_point == pytest.approx(taken(server) / 2000, rel=0.1)
    assert (report.retries, report.spooled_chunks, report.resumed_chunks) == (0, 0, 0)
    assert (report.verified, report.already, report.durability) == (False, False, "memory")
    assert report.norm == pytest.approx((np.abs(psi) ** 2).sum() * 0.125 / 2)


async def test_hooks_see_the_points_grow_to_the_total(server: Server) -> None:
    events, others = Events(), Events()
    await ingested(server, sources.array(wave(7, 10, 10, 10)), hooks=(events, others))
    assert [event.points for event in events.progress] == [1000 * n for n in range(8)]
    assert {event.total for event in events.progress} == {7000}
    sent = [event.bytes_sent for event in events.progress]
    assert sent == sorted(set(sent))
    assert others.all == events.all


async def test_the_rate_is_never_above_the_cap(server: Server) -> None:
    rate = 20_000.0
    moments: list[tuple[float, int]] = []

    def hook(event: Event) -> None:
        if isinstance(event, Progress):
            moments.append((anyio.current_time(), event.points))

    psi = wave(10, 10, 10, 10)
    await ingested(server, sources.array(psi), max_rate=rate, hooks=(hook,))
    begun = moments[0][0]
    assert len(moments) == 11
    for moment, points in moments[1:]:  # a slow machine is only later: this cannot fail by chance
        assert moment - begun >= (points - 1000) / rate - 0.01
    check_points(server, psi)


@pytest.mark.parametrize("codec", CODECS)
async def test_verification_passes_what_is_right(each_server: Server, codec: str) -> None:
    psi = wave(3, 11, 10, 12)
    report = await ingested(each_server, sources.array(psi), codec=codec, verify=True)
    assert report.verified
    check_points(each_server, psi, codec=codec)


DAMAGES: dict[str, list[Any]] = {
    "one bit": ["HSET", b"x3_y4_z5_t2", np.complex128(wave(6, 10, 10, 10)[2, 3, 4, 5] + 1e-15).tobytes()],
    "too short": ["HSET", b"x3_y4_z5_t2", b"short"],
    "one too short, the next too long": ["HSET", b"x3_y4_z5_t2", bytes(15), b"x3_y4_z6_t2", bytes(17)],
    "missing": ["HDEL", b"x3_y4_z5_t2"],
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_verification_finds_what_was_altered_and_resuming_repairs_it(
    each_server: Server, damage: str
) -> None:
    psi = wave(6, 10, 10, 10)

    def alter() -> None:
        command, *rest = DAMAGES[damage]
        ask(each_server, command, data_keys(each_server, of="load")[2], *rest)

    error = await refusal(sources.array(psi), each_server, verify=True, hooks=(when_stored(6000, alter),))
    assert isinstance(error, DamagedData)
    assert "1 of 6 chunks of psi differ" in str(error)
    assert "first: chunk 2" in str(error)
    assert "resume=True" in str(error)
    assert published(each_server) is None
    report = await ingested(each_server, sources.array(psi), resume=True, verify=True)
    assert report.resumed_chunks == 5
    check_points(each_server, psi)
    check_alone(each_server)


async def test_a_resumed_load_is_finished_without_sending_again_what_is_there(each_server: Server) -> None:
    psi = wave(6, 10, 10, 10)
    await leave_unfinished(each_server, sources.array(psi), 3000, writers=1)
    assert published(each_server) is None
    read: list[int] = []
    events = Events()
    source = Watched(source=sources.array(psi), before=lambda box: read.append(box.start[0]))
    report = await ingested(each_server, source, resume=True, hooks=(events,))
    assert read == [3, 4, 5]
    assert report.resumed_chunks == 3
    assert [event.points for event in events.progress] == [3000, 4000, 5000, 6000]
    check_points(each_server, psi)
    check_alone(each_server)


async def test_an_unfinished_load_is_refused_resumed_or_discarded(server: Server) -> None:
    psi, other = wave(4, 10, 10, 10), wave(3, 10, 10, 10, seed=1)
    await leave_unfinished(server, sources.array(psi), 2000)
    left = contents(server)
    error = await refusal(sources.array(psi), server)
    assert isinstance(error, Refused)
    assert "resume=True" in str(error)
    assert "discard=True" in str(error)
    for changed in (sources.array(psi + 1), sources.array(other)):
        error = await refusal(changed, server, resume=True)
        assert isinstance(error, Refused)
        assert "differs in source" in str(error)
    error = await refusal(sources.array(psi), server, resume=True, codec="c8")
    assert "differs in codec: stored c16, given c8" in str(error)
    assert contents(server) == left
    await ingested(server, sources.array(other), discard=True)
    check_points(server, other)
    check_alone(server)


async def test_a_name_that_exists_is_kept_unless_it_is_to_be_overwritten(server: Server) -> None:
    psi = wave(2, 10, 10, 10)
    await ingested(server, sources.array(psi))
    before = contents(server)
    error = await refusal(sources.array(psi), server)
    assert isinstance(error, Refused)
    assert "exists already: overwrite=True" in str(error)
    assert isinstance(await refusal(sources.array(psi + 1), server, resume=True), Refused)
    report = await ingested(server, sources.array(psi), resume=True)
    assert report.already
    assert (report.generation, report.bytes_sent) == (published(server), 0)
    assert contents(server) == before


async def test_readers_keep_the_old_until_the_new_is_published_and_then_it_is_swept(
    each_server: Server,
) -> None:
    old, new = wave(2, 10, 10, 10), wave(4, 10, 10, 10, seed=1)
    await ingested(each_server, sources.array(old))
    first = published(each_server)
    halted, go_on = threading.Event(), threading.Event()

    def halt(box: Box) -> None:
        if box.start[0] == 3:
            halted.set()
            assert go_on.wait(PATIENCE)

    async with qwf_async.connect(each_server.url) as store:
        async with anyio.create_task_group() as tasks:
            source = Watched(source=sources.array(new), before=halt)
            tasks.start_soon(lambda: qwf_async.ingest(source, store, "psi", overwrite=True))
            assert await anyio.to_thread.run_sync(halted.wait, PATIENCE)
            reader = await store.open("psi")
            assert await reader.point(7, 8, 9, t=1) == old[1, 7, 8, 9]
            check_points(each_server, old)
            go_on.set()
        with pytest.raises(Refused, match="replaced or removed"):
            await reader.point(7, 8, 9, t=1)
        assert await (await store.open("psi")).point(7, 8, 9, t=3) == new[3, 7, 8, 9]
    assert published(each_server) != first
    check_points(each_server, new)
    check_alone(each_server)  # so nothing of the old generation is left


async def test_resuming_inherits_what_the_load_was_to_overwrite(server: Server) -> None:
    old, new = wave(2, 10, 10, 10), wave(4, 10, 10, 10, seed=1)
    await ingested(server, sources.array(old))
    await leave_unfinished(server, sources.array(new), 2000, overwrite=True)
    check_points(server, old)
    await ingested(server, sources.array(new), resume=True)
    check_points(server, new)
    check_alone(server)


async def test_a_name_that_is_being_loaded_is_refused_to_another(server: Server) -> None:
    psi = wave(3, 10, 10, 10)
    halted, go_on = threading.Event(), threading.Event()

    def halt(box: Box) -> None:
        halted.set()
        assert go_on.wait(PATIENCE)

    async with qwf_async.connect(server.url) as store, anyio.create_task_group() as tasks:
        source = Watched(source=sources.array(psi), before=halt)
        tasks.start_soon(qwf_async.ingest, source, store, "psi")
        assert await anyio.to_thread.run_sync(halted.wait, PATIENCE)
        for options in ({}, {"resume": True}, {"discard": True}, {"overwrite": True}):
            error = await refusal(sources.array(psi), server, **options)
            assert isinstance(error, Refused)
            assert "psi is being loaded by process" in str(error)
        go_on.set()
    check_points(server, psi)


async def test_data_of_a_prefix_of_its_own_is_found_by_it(server: Server) -> None:
    psi = wave(1, 5, 5, 5)
    async with qwf_async.connect(server.url, settings=qwf_async.Settings(prefix="mine")) as store:
        report = await qwf_async.ingest(sources.array(psi), store, "psi")
    with server.plain as client:
        assert client.hgetall(f"mine:psi:{{{report.generation}.0}}:s") == plain_fields(psi, "c16")
        assert all(key.startswith(b"mine:") for key in client.keys("*"))
