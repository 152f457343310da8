"""`python -m benchmarks memory`: the client's memory against the size of the grid, into a sink that only counts.

The whole road but the connection runs: source, producer, encoder, stream, writers. Every
size runs in a process of its own; what is told is the peak of RssAnon above what it was
when everything had been imported.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import numpy as np

from benchmarks.report import environment
from qwf_async.engine.gate import Gate
from qwf_async.engine.producer import Encoder, Producer
from qwf_async.engine.pump import pump
from qwf_async.engine.writer import Writer
from qwf_async.grid import Grid
from qwf_async.layout import Form
from qwf_async.settings import Settings
from qwf_async.source import Source, gaussian, npy
from qwf_async.wire.batch import Batch


class CountingSink:
    """Takes every batch and counts its points."""

    points = 0

    async def write(self, batch: Batch) -> None:
        self.points += batch.points


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks memory", description=__doc__)
    parser.add_argument("--edges", type=int, nargs="*", default=[64, 128, 256, 512, 1024])
    parser.add_argument(
        "--file-gb", type=float, default=2.0, help="size of the memory-mapped file; 0 for none"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(_measure(options.one)))
        return
    rows = [_in_process(str(edge)) for edge in options.edges]
    if options.file_gb:
        with tempfile.TemporaryDirectory() as directory:
            for order in ("C", "F"):
                path = Path(directory) / f"psi-{order}.npy"
                _write_file(path, options.file_gb, fortran=order == "F")
                rows.append(_in_process(str(path)))
                path.unlink()
    for row in rows:
        print(
            f"{row['source']:40} {row['points']:>14,} points  {row['peak_mb']:6.1f} MB  "
            f"{row['points_per_s'] / 1e6:6.1f} M points/s"
        )
    if options.json:
        options.json.write_text(json.dumps({"environment": environment(), "rows": rows}, indent=1))


def _in_process(source: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks", "memory", "--one", source]
    row: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return row


def _write_file(path: Path, gigabytes: float, *, fortran: bool) -> None:
    edge = round((gigabytes * 1e9 / 16) ** (1 / 3))
    array = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.complex128, shape=(edge, edge, edge), fortran_order=fortran
    )
    for i in range(edge):
        array[(..., i) if fortran else i] = np.arange(edge * edge).reshape(edge, edge) * (1 + 1j)
    array.flush()


def _measure(text: str) -> dict[str, Any]:
    source = npy(text) if text.endswith(".npy") else gaussian(grid=Grid.cube(int(text)))
    before = _anonymous()
    peak, done = [before], threading.Event()

    def sample() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], _anonymous())

    sampler = threading.Thread(target=sample)
    sampler.start()
    begun = time.perf_counter()
    points = anyio.run(_load, source, backend_options={"use_uvloop": True})
    seconds = time.perf_counter() - begun
    done.set()
    sampler.join()
    source.close()
    return {
        "source": source.spec[-40:],
        "points": points,
        "peak_mb": (peak[0] - before) / 1e6,
        "points_per_s": points / seconds,
    }


async def _load(source: Source) -> int:
    settings = Settings()
    form = Form(layout="flat", codec="c16", shape=source.grid.shape)
    plan = form.plan(source.order)
    sink = CountingSink()
    layout = form.open(b"qwf:psi:0123456789abcdef")

    async def nothing(batch: Batch) -> None:
        """No journal to write."""

    await pump(
        range(len(plan)),
        Producer(
            encoder=Encoder(source=source, plan=plan, layout=layout, codec="c16", allow_nonfinite=False)
        ),
        Writer(sink=sink, gate=Gate(), ack=nothing, deadline=1.0, hook=lambda event: None),
        writers=settings.writers,
        stream_bytes=settings.stream_bytes,
        stopping=anyio.Event(),
    )
    return sink.points


def _anonymous() -> int:
    """RssAnon of this process in bytes (proc(5))."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no RssAnon: this benchmark needs Linux")
