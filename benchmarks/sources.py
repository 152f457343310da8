"""`python -m benchmarks sources`: files of each format feeding the engine, against the same array from `.npy`.

Two rates for each, in points/s. `encoded`: the whole road but the connection, into a sink
that counts, as an ingest reads it. `read`: reading alone, in the order of the plan. `library`:
what the format's own library yields, a panel at a time, when nobody does anything else. The
figure is `encoded` over the lower of the encoded rate of `.npy` and the library's, both of the
same round. All from the page cache; medians are told.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import environment
from benchmarks.road import travelled
from qwf_async.layout import Form
from qwf_async.source import Source, open_source


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks sources", description=__doc__)
    parser.add_argument("--edge", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layouts", nargs="*", default=["flat", "tile"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        files = _written(Path(directory), options.edge)
        rows = [row for layout in options.layouts for row in _measured(files, layout, options.rounds)]
    for row in rows:
        print(
            f"{row['file']:22} {row['layout']:5} encoded {row['encoded'] / 1e6:6.1f}  read {row['read'] / 1e6:7.1f}  "
            f"library {row['library'] / 1e6:7.1f} M points/s  {row['figure']:5.2f} of npy or the library"
        )
    if options.json:
        options.json.write_text(json.dumps({"environment": environment(), "rows": rows}, indent=1))


Library = Callable[[], int]
"""Reads a whole file by the format's own library and returns its points."""


def _written(directory: Path, edge: int) -> dict[str, tuple[str, Library]]:
    """The same array in each format: SOURCE, and the library's own way to read it."""
    import h5py
    import zarr

    psi = np.random.default_rng(0).normal(size=(edge, edge, 2 * edge)).view(np.complex128)
    np.save(directory / "psi.npy", psi)
    np.savez(directory / "psi.npz", psi=psi)
    psi.tofile(directory / "psi.raw")
    blocks = (64, 64, 64)
    with h5py.File(directory / "psi.h5", "w") as file:
        file["contiguous"] = psi
        file.create_dataset("blocks", data=psi, chunks=blocks)
        file.create_dataset("packed", data=psi, chunks=blocks, compression="lzf")
    zarr.create_array(directory / "plain.zarr", data=psi, chunks=blocks, compressors=None)
    zarr.create_array(directory / "psi.zarr", data=psi, chunks=blocks)
    shape = "x".join(map(str, psi.shape))

    def panels(array: Any) -> int:
        return sum(array[start : start + blocks[0]].size for start in range(0, edge, blocks[0]))

    def hdf5(name: str) -> Library:
        def read() -> int:
            with h5py.File(directory / "psi.h5") as file:
                return panels(file[name])

        return read

    return {
        "npy": (f"{directory}/psi.npy", lambda: panels(np.load(directory / "psi.npy"))),
        "npz": (f"{directory}/psi.npz:psi", lambda: panels(np.load(directory / "psi.npz")["psi"])),
        "raw": (
            f"{directory}/psi.raw:shape={shape}",
            lambda: panels(np.fromfile(directory / "psi.raw", complex).reshape(psi.shape)),
        ),
        "hdf5": (f"{directory}/psi.h5:/contiguous", hdf5("contiguous")),
        "hdf5 in blocks": (f"{directory}/psi.h5:/blocks", hdf5("blocks")),
        "hdf5 in blocks, lzf": (f"{directory}/psi.h5:/packed", hdf5("packed")),
        "zarr": (
            f"{directory}/plain.zarr",
            lambda: panels(zarr.open_array(directory / "plain.zarr", mode="r")),
        ),
        "zarr, zstd": (
            f"{directory}/psi.zarr",
            lambda: panels(zarr.open_array(directory / "psi.zarr", mode="r")),
        ),
    }


def _measured(files: dict[str, tuple[str, Library]], layout: str, rounds: int) -> list[dict[str, Any]]:
    seen: dict[str, dict[str, list[float]]] = {
        name: {"encoded": [], "read": [], "library": [], "figure": []} for name in files
    }
    for _ in range(rounds):
        for name, (text, library) in files.items():
            one = seen[name]
            with closing(open_source(text)) as source:
                one["encoded"].append(_rate(partial(travelled, source, layout)))
            with closing(open_source(text)) as source:
                one["read"].append(_rate(partial(_read, source, layout)))
            one["library"].append(_rate(library))
            one["figure"].append(one["encoded"][-1] / min(seen["npy"]["encoded"][-1], one["library"][-1]))
    return [
        {"file": name, "layout": layout, **{what: statistics.median(some) for what, some in found.items()}}
        for name, found in seen.items()
    ]


def _rate(run: Callable[[], int]) -> float:
    begun = time.perf_counter()
    points = run()
    return points / (time.perf_counter() - begun)


def _read(source: Source, layout: str) -> int:
    plan = Form.of(layout=layout, codec="c16", shape=source.grid.shape, order=source.order).plan
    return sum(source.read(box).size for chunk in plan for box in chunk.boxes)
