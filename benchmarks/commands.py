"""`python -m benchmarks commands`: what a command costs, in CPU time of its process, beside redis-cli.

Each command is a process of its own, as in a shell. In each round each runs once, in an order
shuffled anew; the first round is thrown away, because it writes Python's compiled files. The
figure is user and system time together, the median over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.cost import Clock
from benchmarks.report import environment
from benchmarks.servers import running

QWF: Final = (sys.executable, "-m", "qwf_async")
PYTHON, CLI = "python -c pass", "redis-cli PING"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks commands", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args(arguments)
    with running("valkey") as server, tempfile.TemporaryDirectory(prefix="qwf-bench-") as place:
        usual = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        variables = {**usual, "QWF_URL": server.url, "PYTHONPYCACHEPREFIX": place}
        variables["PYTHONPATH"] = str(Path(__file__).parents[1])
        _run([*QWF, "ingest", "hydrogen", "--grid", "32", "--name", "psi", "--quiet"], variables)
        commands = {
            PYTHON: [sys.executable, "-c", "pass"],
            CLI: ["redis-cli", "-s", server.url.removeprefix("unix://"), "PING"],
            "qwf --version": [*QWF, "--version"],
            "qwf help": [*QWF, "help"],
            "qwf --help": [*QWF, "--help"],
            "qwf ls": [*QWF, "ls"],
            "qwf get psi 1 2 3": [*QWF, "get", "psi", "1", "2", "3"],
            "qwf ingest, 10³ points": [
                *QWF, "ingest", "gaussian", "--grid", "10", "--name", "new", "--overwrite", "--quiet"
            ],
        }  # fmt: skip
        spent: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(-1, options.rounds):
            for name in random.sample(list(commands), len(commands)):
                clock = Clock()
                _run(commands[name], variables)
                if number >= 0:
                    spent[name].append(clock.cost().cpu_seconds)
    for name, seconds in spent.items():
        print(f"{name:26}{median(seconds) * 1000:7.0f} ms of CPU, least {min(seconds) * 1000:.0f}")
    if options.json:
        options.json.write_text(
            json.dumps({"environment": environment(), "cpu_seconds": spent}, indent=1) + "\n"
        )


def _run(command: Sequence[str], variables: Mapping[str, str]) -> None:
    subprocess.run(command, env=dict(variables), stdout=subprocess.DEVNULL, check=True)
