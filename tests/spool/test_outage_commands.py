"""Commands whose server stays away: what ended with exit code 6 is brought to the server by the next command."""

from __future__ import annotations

import json
import random
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from tests.conftest import PATIENCE, Server
from tests.support.command import Begun, Shell
from tests.support.ingest_rig import CHUNKS as LINES
from tests.support.ingest_rig import POINTS, Rig, lay_out, send
from tests.support.loads import (
    ask,
)
from tests.support.loops import ON_ASYNCIO
from tests.support.outages import SOON

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]


@pytest.fixture
def rig(durable: Server, tmp_path: Path) -> Rig:
    """Commands on the server of the test, which wait long for it."""
    long = {"QWF_SOCKET_TIMEOUT": str(PATIENCE), "QWF_DEADLINE": str(PATIENCE)}
    shell = Shell.at(tmp_path, QWF_URL=durable.url, **long)
    return Rig(shell=shell, server=durable, fields=lay_out(tmp_path))


SPOOLED = (LINES - 1, LINES)
"""Numbers of chunks that `left_alone` may leave to the spool. The first chunk is one of them if the server died before
its reply was read."""


@contextmanager
def left_alone(rig: Rig) -> Iterator[Begun]:
    """An ingest of `psi` as a process: when the server has its first chunk, it is killed, and the rest is read."""
    soon = {f"QWF_{name.upper()}": str(value) for name, value in SOON.items()}
    here = replace(rig, shell=rig.shell.having(**soon, QWF_DRAIN_TIMEOUT="1"))
    with here.begin_held("psi", 1) as begun:
        here.wait_for_load("psi", 1)
        here.server.kill()
        here.let("psi", LINES)
        yield begun


def owing_process(rig: Rig) -> None:
    """Leave the first chunk to the server and all others to the spool."""
    with left_alone(rig) as begun:
        outcome = begun.end()
    assert outcome.status == 6, outcome
    assert (
        f"run 'qwf resume' when the server is back, with --url or QWF_URL as now: {rig.server.url}"
        in outcome.err
    )
    assert "Traceback" not in outcome.err
    rig.server.start()


@ON_ASYNCIO
async def test_qwf_resume_finishes_what_ended_with_exit_6(rig: Rig) -> None:
    assert rig.shell.qwf("resume").err == "nothing waits in the spool\n"
    owing_process(rig)
    outcome = rig.shell.qwf("resume", "--json")
    assert outcome.status == 0, outcome
    (report,) = json.loads(outcome.out)
    assert report["name"] == "psi"
    assert report["points"] == POINTS
    assert report["spooled_chunks"] in SPOOLED
    assert json.loads(rig.shell.qwf("resume", "--json").out) == []
    rig.check_whole("psi")


@ON_ASYNCIO
async def test_a_command_that_needs_what_waits_replays_it(rig: Rig) -> None:
    owing_process(rig)
    outcome = rig.shell.qwf("get", "psi", "5", "0", "77", "--quiet")
    re, im = struct.unpack("<dd", rig.fields[5][b"x5_y0_z77_t0"])
    assert outcome.out == f"{re!r},{im!r}\n", outcome
    rig.check_whole("psi")


@ON_ASYNCIO
async def test_qwf_watch_replays_what_waits(rig: Rig) -> None:
    owing_process(rig)
    (sample,) = map(json.loads, rig.shell.qwf("watch", "--once", "--json").out.splitlines())
    (spool,) = sample["spools"]
    assert (spool["name"], spool["problem"], spool["chunks"]) == ("psi", "", pytest.approx(LINES, abs=1))
    assert spool["nbytes"] > 0
    (load,) = sample["loads"]
    assert (load["name"], load["held"]) == ("psi", False)
    with rig.shell.begin("watch") as begun:
        end = time.monotonic() + PATIENCE
        while not ask(rig.server, "EXISTS", "qwf:{psi}:meta"):
            assert time.monotonic() < end
            await anyio.sleep(0.05)
        begun.signal(signal.SIGINT)
        assert begun.end().status == 130
    rig.check_whole("psi")


@ON_ASYNCIO
async def test_the_next_ingest_with_resume_takes_the_spool_first(rig: Rig) -> None:
    owing_process(rig)
    outcome = rig.ingest_held("psi", "--resume", "--json")
    assert outcome.status == 0, outcome
    assert json.loads(outcome.out)["spooled_chunks"] in SPOOLED
    rig.check_whole("psi")


@ON_ASYNCIO
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_what_was_acknowledged_outlives_a_signal_during_the_outage(rig: Rig, number: int) -> None:
    """At random moments from the server's death on: before the spool is used, as it is made, and after."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 # shown by pytest if the test fails
    chance = random.Random(seed)
    for _ in range(2):
        with left_alone(rig) as begun:
            await anyio.sleep(chance.uniform(0, 1.2))
            outcome = send(begun, number)
        assert outcome.status in (128 + number, 6), outcome
        assert "Traceback" not in outcome.err
        rig.server.start()
        outcome = rig.ingest_held("psi", "--resume")
        assert outcome.status == 0, outcome
        rig.check_whole("psi")
