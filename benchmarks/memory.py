"""`python -m benchmarks memory`: the client's memory against the size of the grid, in each layout.

Grids grow beyond what a server holds here, so they go into a sink that only counts: the whole
road but the connection runs. The same is done with files, and a grid of 256³ points goes
into a real server. Each runs in a process of its own; what is told is the peak of RssAnon above
what it was when everything had been imported.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
import uvloop  # noqa: F401 # what is measured finds it imported

from benchmarks.project import ingested
from benchmarks.report import environment
from benchmarks.road import travelled
from benchmarks.servers import Kind, running
from qwf_async.host.cores import cores
from qwf_async.ingesting.producer import usual_producers
from qwf_async.lattice.grid import Grid
from qwf_async.layout import LAYOUTS, Form
from qwf_async.settings import Settings
from qwf_async.source import gaussian, open_source

EDGE: Final = 256
"""Of the grid that goes into a server."""
WANTED: Final = 64.0
"""MB at most."""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks memory", description=__doc__)
    parser.add_argument("--edges", type=int, nargs="*", default=[64, 256, 1024])
    parser.add_argument("--file-gb", type=float, default=2.0, help="size of the files; 0 for none")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--cores", type=int, default=cores(), help="producers of a machine with so many")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(_measure(*options.one)))
        return
    rows = [_in_process(str(edge), layout, options.cores) for edge in options.edges for layout in LAYOUTS]
    for kind in get_args(Kind):
        for layout in LAYOUTS:
            with running(kind) as server:
                rows.append(
                    _in_process(str(EDGE), layout, options.cores, server.url) | {"into": server.software}
                )
    if options.file_gb:
        with tempfile.TemporaryDirectory() as directory:
            for name, write in FILES.items():
                edge = round((options.file_gb * 1e9 / 16) ** (1 / 3))
                write(Path(directory) / name, edge)
                rows.append(_in_process(f"{directory}/{name}", "flat", options.cores))
    for row in rows:
        print(
            f"{row['source']:40} {row['layout']:6} {row['into']:14} {row['points']:>14,} points "
            f"{row['peak_mb']:6.1f} MB  {row['points_per_s'] / 1e6:6.1f} M points/s"
        )
    most = max(row["peak_mb"] for row in rows)
    print(f"  the most: {most:.1f} MB   wanted: at most {WANTED:g}{'' if most <= WANTED else '   MISSED'}")
    if options.json:
        kept = {"benchmark": "memory", "environment": environment(), "rows": rows}
        options.json.write_text(json.dumps(kept, indent=1) + "\n")


def _in_process(source: str, layout: str, cores: int, url: str = "") -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks", "memory", "--one", source, layout, str(cores), url]
    row: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return row


def _fill(array: Any, edge: int, *, fortran: bool = False) -> None:
    """Write a cube of numbers, 64 planes at a time."""
    plane = np.arange(edge * edge).reshape(1, edge, edge) * (1 + 1j)
    for start in range(0, edge, 64):
        slab = plane.repeat(min(64, edge - start), 0)
        array[(..., slice(start, start + 64)) if fortran else slice(start, start + 64)] = (
            slab.transpose(1, 2, 0) if fortran else slab
        )


def _npy(path: Path, edge: int, *, fortran: bool) -> None:
    array = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.complex128, shape=(edge,) * 3, fortran_order=fortran
    )
    _fill(array, edge, fortran=fortran)
    array.flush()


def _hdf5(path: Path, edge: int, **how: Any) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        _fill(file.create_dataset("psi", (edge,) * 3, complex, **how), edge)


def _zarr(path: Path, edge: int, **how: Any) -> None:
    import zarr

    _fill(zarr.create_array(path, shape=(edge,) * 3, dtype=complex, chunks=(64,) * 3, **how), edge)


FILES: Final[Mapping[str, Callable[[Path, int], None]]] = {
    "C.npy": partial(_npy, fortran=False),
    "F.npy": partial(_npy, fortran=True),
    "blocks.h5": partial(_hdf5, chunks=(64,) * 3),
    "lzf.h5": partial(_hdf5, chunks=(64,) * 3, compression="lzf"),
    "small-blocks.h5": partial(_hdf5, chunks=(8,) * 3),
    "plain.zarr": partial(_zarr, compressors=None),
    "zstd.zarr": _zarr,
}
"""Files, and how they are written: blocks as thick as 64 planes, which a chunk of the plan takes one of at a time."""


def _measure(text: str, layout: str, cores: str, url: str) -> dict[str, Any]:
    """One row: of an analytic grid of this edge, or of a file, into the server at `url`, or only counted."""
    source = gaussian(grid=Grid.cube(int(text))) if text.isdigit() else open_source(text)
    plan = Form.of(layout=layout, codec="c16", shape=source.grid.shape, order=source.order).plan
    producers = usual_producers(int(cores), plan, Settings().stream_bytes)
    before = _anonymous()
    peak, done = [before], threading.Event()

    def sample() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], _anonymous())

    sampler = threading.Thread(target=sample)
    sampler.start()
    begun = time.perf_counter()
    if url:
        ingested(url, source, layout=layout, producers=producers)
    else:
        assert travelled(source, layout, producers) == source.grid.points
    seconds = time.perf_counter() - begun
    done.set()
    sampler.join()
    source.close()
    return {
        "source": source.spec[-40:],
        "layout": layout,
        "producers": producers,
        "into": "a counter",
        "points": source.grid.points,
        "peak_mb": (peak[0] - before) / 1e6,
        "points_per_s": source.grid.points / seconds,
    }


def _anonymous() -> int:
    """RssAnon of this process in bytes (proc(5))."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no RssAnon: this benchmark needs Linux")
