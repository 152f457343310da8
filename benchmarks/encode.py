"""`python -m benchmarks encode`: how fast chunks are encoded for layout flat, on one core, a codec at a time."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.report import environment
from qwf_async.layout import Form
from qwf_async.wire.codec import CODECS, stored


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks encode", description=__doc__)
    parser.add_argument("--edge", type=int, default=256, help="edge of the cubic grid that the fields are of")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)

    shape = (1, options.edge, options.edge, options.edge)
    forms = {codec: Form.of(layout="flat", codec=codec, shape=shape) for codec in CODECS}
    rates = {codec: [_rate(form) for _ in range(options.rounds)] for codec, form in forms.items()}
    for codec, some in rates.items():
        print(f"{codec:7} {median(some) / 1e6:6.1f} M points/s (best {max(some) / 1e6:.1f})")
    if options.json:
        options.json.write_text(json.dumps({"environment": environment(), "points_per_s": rates}, indent=1))


def _rate(form: Form) -> float:
    """Points per second over a few chunks of the grid, digests included."""
    layout = form.open(b"qwf:psi:{0123456789abcdef.", by_restore=True)
    last = len(form.plan) - 1
    chunks = [form.plan[int(number)] for number in np.linspace(0, last, min(64, last + 1))]
    random = np.random.default_rng(1)
    values = [
        random.standard_normal(chunk.box.shape) + 1j * random.standard_normal(chunk.box.shape)
        for chunk in chunks
    ]
    begun = time.perf_counter()
    for chunk, some in zip(chunks, values, strict=True):
        layout.encode(chunk, stored(form.codec, some), 0.0)
    return sum(chunk.box.points for chunk in chunks) / (time.perf_counter() - begun)
