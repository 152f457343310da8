"""`bench`: rounds in which each layout and the plain pipeline write, read and find points, until the time is over."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import anyio
import numpy as np
from anyio.to_thread import run_sync
from numpy.typing import NDArray

from ..catalog.keys import Keys
from ..client.every_node import ask_each
from ..client.node import Node
from ..client.reply import is_anything, is_number, is_text
from ..errors import DamagedData, InvalidInput, OutOfMemory, QwfError, Refused
from ..host.control_groups import kernel_text
from ..host.cores import cores
from ..human import size
from ..ingesting.ingestion import ingest
from ..ingesting.room import rooms_of
from ..ingesting.shutdown import shutdown_on_signals
from ..layout import LAYOUTS, Form
from ..server.info import parse_info
from ..source import array
from ..store.store import Store
from ..tuning.scratch import remove_leftovers, scratch_name
from .disk import spooled_rate
from .measured import PLAIN, Machine, Road, Row, Run, rows_of
from .plain import plain_client, read_plainly, write_plainly

FIRST_POINTS: Final = 16_384
"""Points of the first runs, by which the size of the others is chosen."""

LEAST_POINTS: Final = 4096
"""Fewer points say nothing."""

MOST_POINTS: Final = 1 << 23
"""Points of a run, at most: 128 MiB here, and as many or more on the server."""

ROOM_SHARE: Final = 0.25
"""The share of the free memory of a server that a run may take."""

ROUNDS: Final = 3
"""Rounds, at least, that the time is divided into."""

DISK_SHARE: Final = 0.08
"""The share of the time that the disk is measured for."""

DISK_TIME: Final = 2.0
"""Seconds that the disk is measured for at most."""

SCATTERED: Final = 10_000
"""Points that lie anywhere and are read at once."""

WORKING_SHARE: Final = 0.7
"""The share of a run that is timed; the rest is comparing and removing."""

PINGS: Final = 101
REMOVAL_TIME: Final = 10.0
"""Seconds that the removal of what was stored may take when a run was stopped."""

EXPIRY: Final = 600
"""Seconds after which the plain pipeline's hash goes by itself, should this process be killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What `bench` found: a row for each layout and road, the disk in points/s, single points in seconds."""

    rows: Sequence[Row]
    machine: Machine
    points: dict[str, int]
    spool_rate: float | None
    single_point: float
    rounds: int

    def to_json(self) -> dict[str, Any]:
        return {
            "rounds": self.rounds,
            "round_trip_seconds": self.machine.round_trip,
            "single_point_seconds": self.single_point,
            "spool_points_per_s": self.spool_rate,
            "cores": self.machine.cores,
            "points": self.points,
            "rows": [asdict(row) for row in self.rows],
        }


@dataclass(slots=True, kw_only=True)
class Bench:
    """Measures on a store. `name` is the scratch name under which each run stores, and `psi`[x] what it stores.

    Single points are asked for in the first of the `layouts`.
    """

    store: Store
    name: str
    psi: NDArray[np.complex128]
    layouts: Sequence[str]
    runs: list[Run] = field(default_factory=list)
    singles: list[float] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The hash of the plain pipeline. Whoever needs room may remove it."""
        return Keys(prefix=self.store.settings.prefix, name=self.name).scratch

    @asynccontextmanager
    async def timed(self, layout: str, road: Road, points: int) -> AsyncIterator[None]:
        """Time the body, and the CPU that it takes here and on the servers."""
        served, everywhere = await self._server_cpu(), machine_cpu()
        begun, here = time.perf_counter(), time.process_time()
        yield
        seconds, here = time.perf_counter() - begun, time.process_time() - here
        now = machine_cpu()
        after = await self._server_cpu()
        busiest = max((after[node] - served[node] for node in served.keys() & after.keys()), default=None)
        self.runs.append(
            Run(
                layout=layout,
                road=road,
                points=points,
                seconds=seconds,
                client_cpu=here,
                server_cpu=busiest,
                machine_cpu=None if now is None or everywhere is None else now - everywhere,
            )
        )

    async def layout(self, layout: str, points: int) -> None:
        """One run of a layout: written, read, points anywhere; what is read is compared."""
        psi = self.psi[:points]
        source = array(psi, box=float(points))
        async with self.timed(layout, "write", points):
            await ingest(source, self.store, self.name, layout=layout, overwrite=True, discard=True)
        stored = await self.store.open(self.name)
        async with self.timed(layout, "read", points):
            found = await stored.read[0, :, 0, 0]
        if not np.array_equal(found, psi):
            raise DamagedData(f"layout {layout} read other values than were stored")
        rows = np.random.default_rng(len(self.runs)).integers(points, size=min(points, SCATTERED))
        indices = np.zeros((len(rows), 4), np.int64)
        indices[:, 0] = rows
        async with self.timed(layout, "points", len(rows)):
            some = await stored.read_points(indices)
        if not np.array_equal(some, psi[rows]):
            raise DamagedData(f"layout {layout} read other points than were stored")
        if layout == self.layouts[0]:
            for row in rows[:PINGS].tolist():
                begun = time.perf_counter()
                await stored.point(row)
                self.singles.append(time.perf_counter() - begun)
        await self.store.remove(self.name)

    async def plain(self, points: int) -> None:
        """One run of the plain pipeline."""
        async with plain_client(self.store, self.key) as client:
            await client.delete(self.key)
            async with self.timed(PLAIN, "write", points):
                await write_plainly(client, self.key, self.psi[:points])
            await client.expire(self.key, EXPIRY)
            async with self.timed(PLAIN, "read", points):
                await read_plainly(client, self.key, self.psi[:points])
            await client.unlink(self.key)

    async def round_trip(self) -> float:
        """The median time of a PING in seconds."""
        times = []
        async with self.store.pool.connection(self.key) as connection:
            for _ in range(PINGS):
                begun = time.perf_counter()
                await connection.call("PING", expect=is_anything)
                times.append(time.perf_counter() - begun)
        return median(times)

    async def _server_cpu(self) -> dict[Node, float]:
        """The CPU time in seconds of each server's main thread, of those that tell it."""

        async def asked(node: Node) -> float | None:
            try:
                info = parse_info(await node.call("INFO", "cpu", expect=is_text))
                return float(info["used_cpu_user_main_thread"]) + float(info["used_cpu_sys_main_thread"])
            except (Refused, KeyError, ValueError):
                return None

        return {
            node: used for node, used in (await ask_each(self.store.pool, asked)).items() if used is not None
        }

    async def remove(self) -> None:
        """Remove what a run that was stopped has left."""
        with suppress(InvalidInput, Refused):
            await self.store.remove(self.name)
        await self.store.pool.call("UNLINK", self.key, expect=is_number)


async def bench(
    store: Store,
    *,
    seconds: float = 20.0,
    layouts: Sequence[str] = tuple(LAYOUTS),
    signals: bool = False,
    tell: Callable[[str], object] = lambda line: None,
) -> Result:
    """Measure for about so many seconds how fast the server, and the spool's disk, take and give points.

    All is stored under a scratch name, and removed. `tell` is told what is being done. With `signals`, SIGINT,
    SIGTERM and SIGHUP stop it. Raises OutOfMemory if the server has no room for LEAST_POINTS points, Interrupted after
    a signal, and what an ingest and a read raise.
    """
    end = time.monotonic() + seconds
    async with shutdown_on_signals(0, enabled=signals) as shutdown:
        with shutdown.scope:
            return await _measure(store, layouts, seconds, end, tell)
    raise shutdown.interrupted("nothing is left on the server")


async def _measure(
    store: Store, layouts: Sequence[str], seconds: float, end: float, tell: Callable[[str], object]
) -> Result:
    await remove_leftovers(store)
    most = await _most_points(store, layouts)
    psi = np.random.default_rng(1).normal(size=2 * max(most.values())).view(np.complex128)
    bench = Bench(store=store, name=scratch_name(0, kind="bench"), psi=psi, layouts=layouts)
    try:
        machine = Machine(
            cores=cores(),
            is_local=all(node.address.is_local for node in store.pool.nodes),
            round_trip=await bench.round_trip(),
        )
        spool_rate = None
        if store.settings.spool_limit:
            tell("the spool's disk")
            directory = store.settings.spool_directory
            spool_rate = await run_sync(
                partial(spooled_rate, directory, min(DISK_TIME, DISK_SHARE * seconds))
            )
        points = await _sizes(bench, most, (end - time.monotonic()) / ROUNDS)
        bench.runs.clear()
        bench.singles.clear()
        rounds, longest = 0, 0.0
        while not rounds or time.monotonic() + longest < end:
            begun = time.monotonic()
            for layout in list(points)[:: -1 if rounds % 2 else 1]:
                tell(f"round {rounds + 1}: {layout}")
                await (
                    bench.plain(points[layout]) if layout == PLAIN else bench.layout(layout, points[layout])
                )
            rounds, longest = rounds + 1, max(longest, time.monotonic() - begun)
    finally:
        with anyio.move_on_after(REMOVAL_TIME, shield=True), suppress(QwfError):
            await bench.remove()
    return Result(
        rows=rows_of(bench.runs, machine),
        machine=machine,
        points=points,
        spool_rate=spool_rate,
        single_point=median(bench.singles),
        rounds=rounds,
    )


async def _most_points(store: Store, layouts: Sequence[str]) -> dict[str, int]:
    """For each layout, and for the plain pipeline, the points that the server has room for. Raises OutOfMemory."""
    rooms = await rooms_of(store)
    room = ROOM_SHARE * min(rooms.values(), default=float("inf"))
    most = {}
    for layout in (PLAIN, *layouts):
        form = Form.of(
            layout="flat" if layout == PLAIN else layout,
            codec="c16",
            shape=(1, FIRST_POINTS, 1, 1),
            order="C",
        )
        each = form.predicted_bytes(None) / FIRST_POINTS
        most[layout] = int(min(MOST_POINTS, room / each))
        if most[layout] < LEAST_POINTS:
            raise OutOfMemory(
                f"{size(room / ROOM_SHARE)} are free below the watermark of the server, and a measurement needs "
                f"{size(LEAST_POINTS * each / ROOM_SHARE)}: remove something first"
            )
    return most


async def _sizes(bench: Bench, most: dict[str, int], seconds: float) -> dict[str, int]:
    """The points of each run, so that a round takes about so many seconds: by short first runs."""
    sizes = {}
    for layout, room in most.items():
        points = min(FIRST_POINTS, room)
        await (bench.plain(points) if layout == PLAIN else bench.layout(layout, points))
        took = sum(run.seconds for run in bench.runs if run.layout == layout) / WORKING_SHARE
        fitting = int(points * seconds / len(most) / took)
        sizes[layout] = max(min(points, room), min(fitting, room))
    return sizes


def machine_cpu(root: Path = Path("/")) -> float | None:
    """CPU time in seconds that all processes of this machine have used; None if the system does not say it.

    Source: proc_stat(5): user, nice and system time are the first three numbers.
    """
    words = kernel_text(root / "proc/stat").partition("\n")[0].split()
    return sum(map(int, words[1:4])) / os.sysconf("SC_CLK_TCK") if len(words) > 3 else None
