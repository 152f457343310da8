"""`python -m benchmarks failover`: how soon an ingest goes on into the spool, and back.

A server with an append-only file is killed, or stopped, in the middle of an ingest, and is
back when the spool holds all the rest. Measured from the signal to the first batch that is
acknowledged by the spool; and from the server's first answer to the beginning of the replay.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import anyio
import numpy as np
import redis

import qwf_async
from benchmarks.report import environment
from benchmarks.servers import Kind, Running, place, started
from qwf_async.events import Event, Progress, Spooled

POINTS: Final = 2_000_000
WANTED: Final = {"kill -9": 1.5, "SIGSTOP": 5.0, "replay": 2.0}
"""Seconds at most."""


@dataclass(slots=True, kw_only=True)
class Outage:
    """A hook that takes the server away when a fifth is stored, and brings it back when the rest is spooled."""

    kind: Kind
    how: str
    directory: Path
    server: Running
    stack: ExitStack
    gone: float = 0.0
    first_ack: float = 0.0
    answered: float = 0.0
    replaying: float = 0.0
    _back: threading.Thread = field(default_factory=threading.Thread)

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, Progress) and not self.gone and event.points >= POINTS / 5:
            self.gone = now
            os.kill(self.server.pid, signal.SIGKILL if self.how == "kill -9" else signal.SIGSTOP)
        elif isinstance(event, Spooled) and event.chunks and not self.first_ack:
            self.first_ack = now
            self._back = threading.Thread(target=self._bring_back)
            self._back.start()
        elif isinstance(event, Spooled) and event.replaying and not self.replaying:
            self.replaying = now

    def _bring_back(self) -> None:
        time.sleep(1.0)
        if self.how == "kill -9":
            self.server = self.stack.enter_context(started(self.kind, self.directory, append_only=True))
        else:
            os.kill(self.server.pid, signal.SIGCONT)
        while True:
            try:
                self.server.control.ping()
            except redis.exceptions.BusyLoadingError:
                continue
            break
        self.answered = time.monotonic()


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks failover", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--server", choices=["valkey", "redis"], default="valkey")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args(arguments)
    figures: dict[str, list[float]] = {"kill -9": [], "SIGSTOP": [], "replay": []}
    for how in ("kill -9", "SIGSTOP"):
        for _ in range(options.rounds):
            outage = _round(options.server, how)
            figures[how].append(outage.first_ack - outage.gone)
            figures["replay"].append(outage.replaying - outage.answered)
    names = {
        "kill -9": "kill -9 to first spooled ack",
        "SIGSTOP": "SIGSTOP to first spooled ack",
        "replay": "server answers to replay",
    }
    for name, found in figures.items():
        shown = " ".join(f"{seconds:.2f}" for seconds in found)
        print(f"{names[name]:30} median {median(found):.2f} s, all {shown}; wanted at most {WANTED[name]} s")
    if options.json:
        options.json.write_text(json.dumps({"environment": environment(), "seconds": figures}, indent=1))


def _round(kind: Kind, how: str) -> Outage:
    rng = np.random.default_rng(0)
    psi = rng.standard_normal((POINTS // 10_000, 100, 100)) + 0j
    with place() as directory, place() as data, ExitStack() as stack:
        server = stack.enter_context(started(kind, directory, append_only=True))
        outage = Outage(kind=kind, how=how, directory=directory, server=server, stack=stack)

        async def load() -> None:
            async with qwf_async.connect(server.url, data_dir=data) as store:
                await qwf_async.ingest(qwf_async.sources.array(psi), store, "psi", hooks=(outage,))

        anyio.run(load, backend_options={"use_uvloop": True})
        return outage
