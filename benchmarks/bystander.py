"""Another client, who sends one GET after the other while points are loaded: how long it waits.

A process of its own (`python -m benchmarks.bystander SOCKET`) sends the next GET 2 ms after the reply
to the last.
"""

from __future__ import annotations

import json
import random
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

import redis

from .contest import Load
from .servers import Running
from .workload import Workload

PAUSE: Final = 0.002
"""Seconds from a reply to the next GET."""
NOBODY: Final = "nobody"

Waits = dict[str, list[list[float]]]
"""Who loads → milliseconds of each GET, round by round."""


def measured(server: Running, work: Workload, loads: Mapping[str, Load], rounds: int) -> Waits:
    """The waits beside each load, in turn in each round, and beside none for a second."""
    waits: Waits = {name: [] for name in (NOBODY, *loads)}
    for number in range(rounds):
        order = list(waits)
        random.Random(number).shuffle(order)
        for name in order:
            server.empty()
            command = [sys.executable, "-m", "benchmarks.bystander", str(server.socket)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
                assert process.stdin is not None
                assert process.stdout is not None
                assert process.stdout.readline() == b"ready\n"
                if name == NOBODY:
                    time.sleep(1.0)
                else:
                    loads[name](server, work)
                process.stdin.close()
                waits[name].append(json.loads(process.stdout.read()))
    server.empty()
    return waits


def table(waits: Waits, old: str, new: str) -> str:
    """The percentiles of each, and the ratio that is aimed at."""
    lines = [f"\n{'GET of another client while this loads':40} {'median':>8} {'p99':>8} {'longest':>8}   ms"]
    for name, rounds in waits.items():
        shown = [median(percentile(some, share) for some in rounds) for share in (0.5, 0.99, 1.0)]
        lines.append(f"{name:40} " + " ".join(f"{ms:8.2f}" for ms in shown))
    pairs = zip(waits[new], waits[old], strict=True)
    ratio = median(percentile(a, 0.99) / percentile(b, 0.99) for a, b in pairs)
    mark = "" if ratio <= 1 else "   MISSED"
    lines.append(f"  {f'p99 beside {new} / beside {old}':58} {ratio:7.2f}   wanted: at most 1{mark}")
    return "\n".join(lines)


def percentile(some: Sequence[float], share: float) -> float:
    """The smallest value that this share of all is not above."""
    return sorted(some)[min(len(some) - 1, int(share * len(some)))]


def main(socket: str) -> None:
    """Send GETs until standard input is closed; then print the milliseconds of each as JSON."""
    waits = []
    with redis.Redis(unix_socket_path=socket) as client:
        client.set("bystander", bytes(16))
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], PAUSE)[0]:
            begun = time.perf_counter()
            client.get("bystander")
            waits.append(1e3 * (time.perf_counter() - begun))
    print(json.dumps(waits))


if __name__ == "__main__":
    main(sys.argv[1])
