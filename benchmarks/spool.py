"""`python -m benchmarks spool`: the spool's file against the disk's own limit.

Real chunks of layout flat, four a commit as the engine groups them. In each round, in an
order shuffled anew, their values go into a spool, and into a plain file with an fsync
after each group, on the same disk; the ratio is taken within a round. What was put is then
taken out again (`rows`, checked, encoded for the server, and `remove`), mostly from the
system's cache.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from benchmarks.report import environment
from qwf_async.catalog.keys import new_generation
from qwf_async.catalog.manifest import Manifest
from qwf_async.ingesting.load_spool import encoded
from qwf_async.lattice.grid import Grid
from qwf_async.layout import Form
from qwf_async.spool import SpoolFile, SpoolHead, spool_path
from qwf_async.wire.batch import Batch, byte_view

GROUP: Final = 4
"""Batches a commit: as many as there are writers."""

EDGE: Final = 256
DISTINCT: Final = 16
WANTED: Final = 150.0
PLAIN, PUT, TAKEN = "plain file, fsync a group", "spool: put", "spool: rows, encoded, removed"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks spool", description=__doc__)
    parser.add_argument("--mb", type=int, default=1000, help="megabytes in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--directory", type=Path, help="on the disk to be measured; else among the temporary files"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args(arguments)

    head = _head()
    batches = _batches(head.manifest)
    groups = max(1, round(options.mb * 1e6 / (GROUP * batches[0].values.nbytes)))
    rates: dict[str, list[float]] = {PLAIN: [], PUT: [], TAKEN: []}
    with tempfile.TemporaryDirectory(prefix="qwf-bench-", dir=options.directory) as place:
        for number in range(-1, options.rounds):  # the first is thrown away: it pays for imports
            found = _round(Path(place), head, batches, groups, random.Random(number))
            if number >= 0:
                for name, rate in found.items():
                    rates[name].append(rate)
    ratios = [put / plain for put, plain in zip(rates[PUT], rates[PLAIN], strict=True)]
    size = groups * GROUP * batches[0].values.nbytes / 1e6
    print(f"{size:.0f} MB in commits of {GROUP} chunks of {batches[0].values.nbytes / 1e6:.2f} MB")
    for name, some in rates.items():
        points = median(some) / batches[0].values.itemsize
        print(
            f"{name:28} {median(some):6.0f} MB/s  ({min(some):.0f} to {max(some):.0f}), {points:.1f} M points/s"
        )
    print(f"put / plain file             {median(ratios):6.2f}      (median of the ratios round by round)")
    print(f"put                          {median(rates[PUT]):6.0f} MB/s  wanted: at least {WANTED:.0f}")
    if options.json:
        results = {
            "benchmark": "spool",
            "megabytes": size,
            "rounds": options.rounds,
            "environment": environment(),
            "mb_per_s": rates,
            "ratio": median(ratios),
        }
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def _head() -> SpoolHead:
    grid = Grid.cube(EDGE)
    form = Form.of(layout="flat", codec="c16", shape=grid.shape)
    manifest = Manifest(generation=new_generation(), form=form, grid=grid, source="", fingerprint="")
    return SpoolHead(server="unix:///s", prefix="qwf", name="psi", manifest=manifest)


def _batches(manifest: Manifest) -> list[Batch]:
    """A few chunks from all over the grid, of random values."""
    layout = manifest.form.open(b"qwf:psi:{" + manifest.generation.encode() + b".")
    rng = np.random.default_rng(1)
    chunks = [manifest.plan[int(n)] for n in np.linspace(0, len(manifest.plan) - 1, DISTINCT)]
    return [
        layout.encode(chunk, rng.standard_normal((*chunk.shape, 2)).view(np.complex128)[..., 0], 1.0)
        for chunk in chunks
    ]


def _round(
    place: Path, head: SpoolHead, batches: Sequence[Batch], groups: int, chance: random.Random
) -> dict[str, float]:
    """MB/s of each."""
    nbytes = sum(batch.values.nbytes for group in _groups(batches, groups) for batch in group)
    seconds: dict[str, float] = {}
    for name in chance.sample([PLAIN, PUT], 2):
        if name == PLAIN:
            seconds[PLAIN] = _write_plain(place / "plain", batches, groups)
        else:
            seconds |= _spool(spool_path(place, head.manifest.generation), head, batches, groups)
    return {name: nbytes / 1e6 / some for name, some in seconds.items()}


def _groups(batches: Sequence[Batch], groups: int) -> Iterator[list[Batch]]:
    endless = cycle(batches)
    return (list(islice(endless, GROUP)) for _ in range(groups))


def _write_plain(path: Path, batches: Sequence[Batch], groups: int) -> float:
    begun = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for group in _groups(batches, groups):
            for batch in group:
                file.write(byte_view(batch.values))
            os.fsync(file.fileno())
    seconds = time.perf_counter() - begun
    path.unlink()
    return seconds


def _spool(path: Path, head: SpoolHead, batches: Sequence[Batch], groups: int) -> dict[str, float]:
    layout = head.manifest.form.open(b"qwf:psi:{" + head.manifest.generation.encode() + b".")
    with closing(SpoolFile.create(path, head, limit=1 << 50)) as spool:
        begun = time.perf_counter()
        for group in _groups(batches, groups):
            spool.put(group)
        put = time.perf_counter()
        taken = 0
        while rows := spool.rows(GROUP * batches[0].values.nbytes):
            taken += sum(encoded(row, head.manifest, layout).points > 0 for _, row in rows)
            spool.remove(sequence for sequence, _ in rows)
        done = time.perf_counter()
        assert (taken, spool.quarantined) == (GROUP * groups, [])
        spool.delete()
    return {PUT: put - begun, TAKEN: done - put}
