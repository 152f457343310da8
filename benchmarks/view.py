"""What a page waits for: planes, volumes and frames by the API of the page's server, beside psi.read of the same.

One wavefunction of side³ points lies in layout tile, smaller ones in flat and packed (an eighth of the points), and
frames of 256² points in all three. The page's server is `qwf view`, a process of its own; it is asked over a
connection that is there already, as a browser does. `read` is the asynchronous psi.read in this process. Both take
turns in each round, in an order that is shuffled anew. Told are medians in milliseconds; the CPU time of the page's
server and of the server for one answer; and the memory of the page's server after an answer (RssAnon) and at its
highest (VmHWM).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlencode

import anyio
import numpy as np

import qwf_async
from qwf_async.lattice.grid import Grid
from qwf_async.lattice.selection import Selection

from .options import keep, options
from .servers import Running, running

SIDE: Final = 512
FRAME_SIDE: Final = 256
FRAMES: Final = 64
LAYOUTS: Final = ("tile", "packed", "flat")
WANTED_MS: Final = {"tile: plane xy": 150, "tile: plane xz": 150, "tile: plane yz": 150}
WANTED_FRAMES: Final = 20
WANTED_MB: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is asked for: a name, the query of each request in turn, and what it selects."""

    name: str
    queries: Sequence[dict[str, Any]]

    def selection(self, psi: qwf_async.Wavefunction, number: int) -> Selection:
        query, shape = self.queries[number % len(self.queries)], psi.manifest.grid.shape
        most = query.get("max", max(shape))
        return Selection.of(
            shape,
            tuple(
                query[axis] if axis in query else slice(None, None, -(-size // most))
                for axis, size in zip("txyz", shape, strict=True)
            ),
        )


@dataclass(slots=True, kw_only=True)
class Times:
    """Of each round: milliseconds by the page's server and by read, and CPU milliseconds of both servers."""

    view: list[float] = field(default_factory=list)
    read: list[float] = field(default_factory=list)
    page_cpu: list[float] = field(default_factory=list)
    server_cpu: list[float] = field(default_factory=list)
    peak: float = 0.0


def main(arguments: Sequence[str]) -> None:
    asked = options("view", __doc__, arguments, points=SIDE**3, rounds=9, parts=LAYOUTS)
    found: dict[str, Any] = {}
    for kind in asked.kinds:
        with running(kind) as server:
            side = round(asked.points ** (1 / 3))
            anyio.run(_fill, server, side, asked.parts, backend_options={"use_uvloop": True})
            with _page(server) as page:
                times = {name: Times() for name in _tasks(side, asked.parts)}
                anyio.run(
                    _rounds, server, page, _tasks(side, asked.parts), times, asked.rounds,
                    backend_options={"use_uvloop": True},
                )  # fmt: skip
                _tell(server, page, times)
            found[server.software] = {
                name: {
                    "view": own.view,
                    "read": own.read,
                    "page_cpu": own.page_cpu,
                    "server_cpu": own.server_cpu,
                }
                for name, own in times.items()
            }
    keep(asked, "view", found)


async def _fill(server: Running, side: int, layouts: Sequence[str]) -> None:
    async with qwf_async.connect(server.url) as store:
        for layout in layouts:
            cube = Grid.cube(side if layout == "tile" else side // 2, box=20.0)
            plane = Grid.of((FRAME_SIDE, FRAME_SIDE), box=(20.0, 20.0), frames=FRAMES, dt=0.1)
            for name, grid in ((layout, cube), (f"{layout}-frames", plane)):
                source = qwf_async.sources.gaussian(k=2, grid=grid)
                began = time.perf_counter()
                await qwf_async.ingest(source, store, name, layout=layout)
                print(f"{name}: {grid.points:,} points in {time.perf_counter() - began:.1f} s")


def _tasks(side: int, layouts: Sequence[str]) -> dict[str, Task]:
    tasks = {}
    for layout in layouts:
        n = side if layout == "tile" else side // 2
        places = [n // 2 + 5 * step for step in range(8)]  # another plane each time
        for axes, cut in (("xy", "z"), ("xz", "y"), ("yz", "x")):
            queries = [{"t": 0, cut: place} for place in places]
            tasks[f"{layout}: plane {axes}"] = Task(name=layout, queries=queries)
        for most in (32, 96):
            tasks[f"{layout}: volume {most}"] = Task(name=layout, queries=[{"t": 0, "max": most}])
        frames = [{"t": frame, "z": 0} for frame in range(FRAMES)]
        tasks[f"{layout}: frame {FRAME_SIDE}²"] = Task(name=f"{layout}-frames", queries=frames)
        tasks[f"{layout}: line, all frames"] = Task(
            name=f"{layout}-frames", queries=[{"y": y, "z": 0} for y in range(FRAME_SIDE)]
        )
    return tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """The page's server, and a connection to it."""

    pid: int
    token: str
    connection: HTTPConnection

    def get(self, task: Task, number: int) -> bytes:
        query = task.queries[number % len(task.queries)]
        path = f"/api/wavefunctions/{task.name}/values?{urlencode(query)}"
        headers = {"Authorization": f"Bearer {self.token}"}
        self.connection.request("GET", path, headers=headers)
        reply = self.connection.getresponse()
        body = reply.read()
        assert reply.status == 200, body
        return body

    def cpu_seconds(self) -> float:
        user, system = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def megabytes(self, what: str) -> float:
        """A line of its status, `RssAnon` or `VmHWM`, in MB."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        (kib,) = [line.split()[1] for line in lines if line.startswith(f"{what}:")]
        return int(kib) * 1024 / 1e6


@contextmanager
def _page(server: Running) -> Iterator[_Page]:
    command = [
        sys.executable,
        "-m",
        "qwf_async",
        "view",
        "--url",
        server.url,
        "--port",
        "0",
        "--no-browser",
        "--json",
    ]
    with subprocess.Popen([*command, "--quiet"], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            told = ""
            while not told.endswith("}"):
                told += process.stdout.readline().decode().strip()
            at = json.loads(told)
            connection = HTTPConnection("127.0.0.1", at["port"])
            yield _Page(pid=process.pid, token=at["token"], connection=connection)
            connection.close()
        finally:
            process.terminate()


async def _rounds(
    server: Running, page: _Page, tasks: Mapping[str, Task], times: Mapping[str, Times], rounds: int
) -> None:
    async with qwf_async.connect(server.url) as store:
        held = {task.name: await store.open(task.name) for task in tasks.values()}
        for number in range(-1, rounds):  # the first one warms up
            for what in random.Random(number).sample(list(tasks), len(tasks)):
                task, own = tasks[what], times[what]
                turns = ["view", "read"]
                random.Random(f"{number} {what}").shuffle(turns)
                for turn in turns:
                    page.connection.close()
                    page.connection.connect()  # it may have been closed, for it was not used for seconds
                    spent, page_spent, began = server.cpu_seconds(), page.cpu_seconds(), time.perf_counter()
                    if turn == "view":
                        body = page.get(task, number)
                        taken = time.perf_counter() - began
                    else:
                        psi = held[task.name]
                        values = await psi.read_selection(task.selection(psi, number))
                        taken = time.perf_counter() - began
                    if number >= 0:
                        getattr(own, turn).append(taken * 1000)
                        if turn == "view":
                            own.page_cpu.append((page.cpu_seconds() - page_spent) * 1000)
                            own.server_cpu.append((server.cpu_seconds() - spent) * 1000)
                            own.peak = max(own.peak, page.megabytes("RssAnon"))
                assert np.array_equal(np.frombuffer(body, "<c8"), values.reshape(-1).astype("<c8"))
    for own in times.values():
        own.read = own.read or [0.0]


def _tell(server: Running, page: _Page, times: Mapping[str, Times]) -> None:
    print(f"\n{server.software}: ms (median), and the CPU ms of the page's server and of the server")
    for what, own in times.items():
        view, read = median(own.view), median(own.read)
        ratio = median(v / r for v, r in zip(own.view, own.read, strict=True))
        wanted = 1000 / WANTED_FRAMES if "frame " in what else WANTED_MS.get(what)
        mark = "" if wanted is None else f"   wanted {wanted:.0f}: {'met' if view <= wanted else 'MISSED'}"
        print(
            f"  {what:24} view {view:8.1f} (most {max(own.view):7.1f})   read {read:8.1f}   view / read {ratio:5.2f}"
            f"   CPU {np.mean(own.page_cpu):7.1f} {np.mean(own.server_cpu):7.1f}   RssAnon {own.peak:5.0f} MB{mark}"
        )
    highest = page.megabytes("VmHWM")
    mark = "met" if highest <= WANTED_MB else "MISSED"
    print(
        f"  memory: VmHWM {highest:.0f} MB, RssAnon {page.megabytes('RssAnon'):.0f} MB; wanted {WANTED_MB}: {mark}"
    )
