"""Many ingests into one server that has room for few clients: as processes, and as tasks of one process."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
import numpy as np
import pytest
import redis
from numpy.typing import NDArray

import qwf_async
from qwf_async.layout import LAYOUTS
from tests.conftest import PATIENCE, Server, new_server
from tests.support.command import Begun, Outcome, Shell
from tests.support.ingest_rig import CHUNKS, new_rig
from tests.support.loops import ON_UVLOOP

pytestmark = pytest.mark.timeout(300)
SIDE: Final = 16
POINTS: Final = SIDE**3
MAX_SECONDS: Final = 200.0
"""After so long a job that still waits counts as one that waits for ever."""


def wave(seed: int) -> NDArray[np.complex128]:
    numbers = np.random.default_rng(seed).standard_normal((2, SIDE, SIDE, SIDE))
    psi: NDArray[np.complex128] = numbers[0] + 1j * numbers[1]
    return psi


def stored(client: Any, name: str, layout: str) -> bytes:
    """All of ψ as a published cube of this size holds it, [x, y, z] in C order, read field by field."""
    meta = client.hgetall(f"qwf:{{{name}}}:meta")
    base = f"qwf:{name}:{{{meta[b'generation'].decode()}."
    plan = json.loads(meta[b"plan"])
    groups = range(plan["count"])
    if layout == "flat":
        hashes = [client.hgetall(f"{base}{group}}}:s") for group in groups]
        held = {field: value for fields in hashes for field, value in fields.items()}
        assert sum(map(len, hashes)) == POINTS
        assert len(held) == POINTS
        return b"".join(held[b"x%d_y%d_z%d_t0" % (x, y, z)] for x, y, z in np.ndindex(SIDE, SIDE, SIDE))
    if layout == "packed":
        with client.pipeline(transaction=False) as pipeline:
            for bucket in range(POINTS // 128):
                pipeline.hgetall(f"{base}{128 * bucket // plan['length']}}}:b{bucket}")
            buckets = pipeline.execute()
        return b"".join(bucket[b"%d" % i] for bucket in buckets for i in range(128))
    psi = np.zeros((SIDE, SIDE, SIDE), np.complex128)
    for group in groups:
        for field, value in client.hgetall(f"{base}{group}}}:t").items():
            _, _, x, y, z = (int(part) if part.isdigit() else 0 for part in field.decode().split("/"))
            tile = np.frombuffer(value, "<c16").reshape(8, 8, 8)
            psi[8 * x : 8 * x + 8, 8 * y : 8 * y + 8, 8 * z : 8 * z + 8] = tile
    return psi.tobytes()


def admitted(server: Server) -> redis.Redis:
    """A plain client. Our connections were closed a moment ago, and the server may not have noticed."""
    end = time.monotonic() + PATIENCE
    while True:
        client = server.plain
        try:
            client.ping()
        except redis.exceptions.ConnectionError:
            client.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return client


def check_all(server: Server, layouts: dict[str, str], seeds: dict[str, int]) -> None:
    """Every name is published and holds its ψ bit for bit; no load is left, and no other key of ours."""
    with admitted(server) as client:
        assert not [key for key in client.scan_iter("qwf:*") if key.endswith((b":load", b":trash"))]
        assert set(client.hkeys("qwf:names")) == {name.encode() for name in layouts}
        wrong = [
            name
            for name, layout in layouts.items()
            if hashlib.sha256(stored(client, name, layout)).digest()
            != hashlib.sha256(wave(seeds[name]).tobytes()).digest()
        ]
    assert not wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdedServer:
    shell: Shell
    server: Server

    def ingests(self, jobs: Sequence[tuple[str, str, str]]) -> list[Outcome]:
        """Run `qwf ingest FILE --name NAME --layout LAYOUT` of all of these at the same time, to their ends."""
        with ExitStack() as all_:
            begun: list[Begun] = [
                all_.enter_context(
                    self.shell.begin("ingest", file, "--name", name, "--layout", layout, "--json", "--quiet")
                )
                for file, name, layout in jobs
            ]
            end = time.monotonic() + MAX_SECONDS
            return [each.end(max(0.1, end - time.monotonic())) for each in begun]


FILES: Final = 6


def new_crowded_server(directory: Path, software: str, maxclients: int) -> Iterator[CrowdedServer]:
    for seed in range(FILES):
        np.save(directory / f"psi{seed}.npy", wave(seed))
    # Nothing is lost here: a server that has answered nobody for a while is on a busy machine.
    long = {f"QWF_{name}": str(PATIENCE) for name in ("SOCKET_TIMEOUT", "SOCKET_CONNECT_TIMEOUT")}
    for server in new_server(software, maxclients=str(maxclients)):
        yield CrowdedServer(shell=Shell.at(directory, QWF_URL=server.url, **long), server=server)


def run_all(crowded: CrowdedServer, count: int) -> list[dict[str, Any]]:
    """The reports of `count` jobs at once, each with its own name. All must succeed and be stored right."""
    jobs = [(f"psi{i % FILES}.npy", f"job{i}", list(LAYOUTS)[i % 3]) for i in range(count)]
    outcomes = crowded.ingests(jobs)
    failed = [outcome for outcome in outcomes if outcome.status != 0]
    assert not failed, f"{len(failed)} of {count} failed, first {failed[0].status}: {failed[0].err}"
    check_all(
        crowded.server,
        {name: layout for _, name, layout in jobs},
        {name: i % FILES for i, (_, name, _) in enumerate(jobs)},
    )
    return [json.loads(outcome.out) for outcome in outcomes]


def totals(reports: list[dict[str, Any]]) -> dict[str, int]:
    names = ("opened", "failed", "turned_away", "borrowed", "timeouts", "lost")
    return {name: sum(report["connections"][name] for report in reports) for name in names}


@pytest.mark.soak
@pytest.mark.parametrize("software", ["valkey", "redis"])
@pytest.mark.parametrize("maxclients", [50, 1000])
def test_a_hundred_processes_share_a_server(
    tmp_path: Path, software: str, maxclients: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for crowded in new_crowded_server(tmp_path, software, maxclients):
        begun = time.monotonic()
        seen = totals(run_all(crowded, 100))
        attempts = seen["opened"] + seen["failed"]  # to be turned away for lack of room is to queue
        reuse = 1 - seen["opened"] / seen["borrowed"]
        with capsys.disabled():
            print(  # noqa: T201 # the figures are what this is run for
                f"\n{software}, maxclients {maxclients}: {time.monotonic() - begun:.1f} s, {seen}, success "
                f"{seen['opened'] / attempts:.4%}, reuse {reuse:.2%}"
            )
        assert seen["opened"] / attempts >= 0.999
        assert reuse >= 0.9  # these jobs are tiny: 40 lendings each, and one connection at least
        assert maxclients < 1000 or seen["turned_away"] == 0


def test_thirty_jobs_queue_for_five_places_and_one_bad_input_fails_alone(tmp_path: Path) -> None:
    for crowded in new_crowded_server(tmp_path, "valkey", 5):
        spoilt = wave(0)
        spoilt[3, 2, 1] = np.nan
        np.save(tmp_path / "spoilt.npy", spoilt)
        jobs = [(f"psi{i % FILES}.npy", f"job{i}", list(LAYOUTS)[i % 3]) for i in range(29)]
        *good, bad = crowded.ingests([*jobs, ("spoilt.npy", "spoilt", "flat")])
        assert not [(each.status, each.err) for each in good if each.status]
        # On a busy machine it may have said that it waits for room.
        errors = [line for line in bad.err.splitlines() if "waiting for room" not in line]
        assert (bad.status, len(errors)) == (7, 1), bad.err
        seen = totals([json.loads(outcome.out) for outcome in good])
        assert (seen["failed"], seen["timeouts"], seen["lost"]) == (0, 0, 0)
        check_all(
            crowded.server,
            {name: layout for _, name, layout in jobs},
            {name: i % FILES for i, (_, name, _) in enumerate(jobs)},
        )


def test_of_many_that_want_one_name_one_gets_it_and_the_others_are_told_who(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The source is held back until all others have ended, so even the last of them finds the owner at work."""
    for rig in new_rig(tmp_path_factory):
        with ExitStack() as all_:
            begun = [all_.enter_context(rig.begin_held("one", 0)) for _ in range(8)]
            end = time.monotonic() + MAX_SECONDS
            while sum(each.process.poll() is not None for each in begun) < 7:
                assert time.monotonic() < end
                time.sleep(0.01)
            rig.let("one", CHUNKS)
            outcomes = [each.end(MAX_SECONDS) for each in begun]
        owners = [each.process.pid for each in begun if each.process.returncode == 0]
        assert sorted(outcome.status for outcome in outcomes) == [0] + [8] * 7
        told = f"process {owners[0]} on "
        assert all(told in outcome.err for outcome in outcomes if outcome.status == 8)
        rig.check_whole("one")


@ON_UVLOOP
@pytest.mark.anyio
async def test_three_hundred_tasks_of_one_process_share_its_connections() -> None:
    layouts = {f"job{i}": list(LAYOUTS)[i % 3] for i in range(300)}
    took: list[float] = []
    for server in new_server("valkey", maxclients="50"):
        begun = anyio.current_time()

        async def job(store: qwf_async.Store, i: int, begun: float = begun) -> None:
            source = qwf_async.sources.array(wave(i % FILES))
            await qwf_async.ingest(source, store, f"job{i}", layout=list(LAYOUTS)[i % 3])
            took.append(anyio.current_time() - begun)

        with anyio.fail_after(MAX_SECONDS):
            # Each job borrows 11 times and more: with 30 connections that is 99 % at least, however slowly it goes.
            settings = qwf_async.Settings(
                max_connections=30, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE
            )
            async with (
                qwf_async.connect(server.url, settings=settings) as store,
                anyio.create_task_group() as tasks,
            ):
                counts = store.pool.counts
                for i in range(300):
                    tasks.start_soon(job, store, i)
        assert len(took) == 300
        assert counts.lost == counts.failed == 0
        reuse = counts.reuse
        assert reuse is not None
        assert reuse >= 0.99
        # In a thread: the loop must go on for a moment to close the sockets.
        seeds = {f"job{i}": i % FILES for i in range(300)}
        await anyio.to_thread.run_sync(check_all, server, layouts, seeds)
