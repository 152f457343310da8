"""`python -m benchmarks sources`: files of each format feeding the engine, against the same array from `.npy`.

Two rates for each, in points/s. `encoded`: the whole road but the connection, into a sink
that counts, as an ingest reads it. `read`: reading alone, in the order of the plan. `library`:
what the format's own library yields, a panel at a time, when nobody does anything else. The
figure is `encoded` over the lower of the encoded rate of `.npy` and the library's. All from
the page cache; the rounds are interleaved, and the median is told.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import numpy as np
from numpy.typing import NDArray

from benchmarks.memory import CountingSink
from benchmarks.report import environment
from qwf_async.engine.gate import Gate
from qwf_async.engine.producer import Encoder, Producer
from qwf_async.engine.pump import pump
from qwf_async.engine.writer import Writer
from qwf_async.layout import Form
from qwf_async.settings import Settings
from qwf_async.source import Source, open_source
from qwf_async.wire.batch import Batch


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
        figure = row["encoded"] / min(row["npy"], row["library"])
        print(
            f"{row['file']:22} {row['layout']:5} encoded {row['encoded'] / 1e6:6.1f}  read {row['read'] / 1e6:7.1f}  "
            f"library {row['library'] / 1e6:7.1f} M points/s  {figure:5.2f} of npy or the library  "
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
        file["lying"] = psi
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
        "hdf5": (f"{directory}/psi.h5:/lying", hdf5("lying")),
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
        name: {"encoded": [], "read": [], "library": []} for name in files
    }
    for _ in range(rounds):
        for name, (text, library) in files.items():
            with closing(open_source(text)) as source:
                seen[name]["encoded"].append(
                    _rate(lambda: anyio.run(_encode, source, layout, backend_options={"use_uvloop": True}))
                )  # run at once
            with closing(open_source(text)) as source:
                seen[name]["read"].append(_rate(lambda: _read(source, layout)))  # as above
            seen[name]["library"].append(_rate(library))
    medians = {
        name: {what: statistics.median(rates) for what, rates in found.items()}
        for name, found in seen.items()
    }
    return [
        {"file": name, "layout": layout, "npy": medians["npy"]["encoded"], **found}
        for name, found in medians.items()
    ]


def _rate(run: Callable[[], int]) -> float:
    begun = time.perf_counter()
    points = run()
    return points / (time.perf_counter() - begun)


def _read(source: Source, layout: str) -> int:
    plan = Form(layout=layout, codec="c16", shape=source.grid.shape).plan(source.order)
    return sum(_touched(source.read(box)) for chunk in plan for box in chunk.boxes)


def _touched(values: NDArray[Any]) -> int:
    return values.size


async def _encode(source: Source, layout: str) -> int:
    settings = Settings()
    form = Form(layout=layout, codec="c16", shape=source.grid.shape)
    plan = form.plan(source.order)
    sink = CountingSink()
    opened = form.open(b"qwf:psi:0123456789abcdef")

    async def nothing(batch: Batch) -> None:
        """No journal to write."""

    await pump(
        range(len(plan)),
        Producer(
            encoder=Encoder(source=source, plan=plan, layout=opened, codec="c16", allow_nonfinite=False)
        ),
        Writer(sink=sink, gate=Gate(), ack=nothing, deadline=1.0, hook=lambda event: None),
        writers=settings.writers,
        stream_bytes=settings.stream_bytes,
        stopping=anyio.Event(),
    )
    return sink.points
