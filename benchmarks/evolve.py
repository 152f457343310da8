"""`python -m benchmarks evolve`: a step of the time evolution against its bare FFTs, and evolution beside ingest.

Whether the two overlap is measured on a server of its own: the evolution alone, its frames
from memory into the store alone, and both at once.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import anyio
import numpy as np
from numpy.typing import NDArray
from scipy import fft

import qwf_async
from benchmarks.report import environment
from benchmarks.servers import Running, running
from qwf_async.host.cores import cores
from qwf_async.lattice.grid import Box, Grid
from qwf_async.source import Source, array, evolve, gaussian, read_potential
from qwf_async.source.evolve.fftw import FftwTransforms
from qwf_async.source.evolve.propagator import Leg, Propagator, block_size
from qwf_async.source.evolve.transforms import ScipyTransforms, Transforms

Complex = NDArray[np.complex128]
BARE = "bare FFTs, there and back"
POTENTIAL = "harmonic:omega=0.5"
STEP = 0.01
"""Time step in ħ/Eh."""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks evolve", description=__doc__)
    parser.add_argument("--edge", type=int, default=128, help="edge of the cubic grid")
    parser.add_argument("--steps", type=int, default=10, help="steps timed at once, and from frame to frame")
    parser.add_argument("--frames", type=int, default=6, help="frames that are stored")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)

    ratios, seconds = _steps(options.edge, options.steps, options.rounds)
    for name, some in seconds.items():
        print(f"{name:44} {1e3 * median(some):8.1f} ms a step (best {1e3 * min(some):.1f})")
    print(f"{'step / bare FFTs, round by round':44} {median(ratios):8.2f}    wanted: at most 1.25")
    libraries = [_libraries(sizes, options.rounds) for sizes in ((64, 64, 64), (128, 128, 128), (4096,))]
    for one in libraries:
        print(
            f"{one['grid']:>12}: SciPy {1e3 * one['scipy']:.3f} ms a step, FFTW {1e3 * one['fftw']:.3f} ms, "
            f"ratio {one['ratio']:.2f}; "
            f"plans measured in {one['measuring']:.2f} s, read in {one['reading']:.2f} s"
        )
    overlap = _overlap(options.edge, options.steps, options.frames)
    for name, value in overlap.items():
        print(f"{name:44} {value:8.2f}")
    if options.json:
        found = {
            "environment": environment(),
            "step_seconds": seconds,
            "ratios": ratios,
            "libraries": libraries,
            "overlap": overlap,
        }
        options.json.write_text(json.dumps(found, indent=1))


def _state(edge: int, frames: int, steps: int) -> Source:
    return gaussian(k=1, grid=Grid.cube(edge, box=30, frames=frames, dt=STEP * steps))


def _steps(edge: int, steps: int, rounds: int) -> tuple[list[float], dict[str, list[float]]]:
    """Ratios of our step to the bare FFTs, and seconds a step of each contestant, in turn in each round."""
    state = _state(edge, 1, 1)
    psi = state.read(state.grid.whole)[0]
    turns = np.exp(-1j * np.random.default_rng(1).random(psi.shape))

    def bare(work: Complex) -> Complex:
        waves = fft.fftn(work, overwrite_x=True, workers=cores())
        return np.asarray(fft.ifftn(waves, overwrite_x=True, workers=cores()))

    def plain(work: Complex) -> Complex:
        waves = fft.fftn(work, overwrite_x=True, workers=cores())
        waves *= turns
        work = np.asarray(fft.ifftn(waves, overwrite_x=True, workers=cores()))
        work *= turns
        return work

    def timed(step: Callable[[Complex], Complex]) -> float:
        work = psi.copy()
        begun = time.perf_counter()
        for _ in range(steps):
            work = step(work)
        return (time.perf_counter() - begun) / steps

    into = np.empty_like(psi)
    seconds: dict[str, list[float]] = {BARE: [], "FFTs and products of whole arrays": [], "qwf_async": []}
    with ThreadPoolExecutor(cores()) as pool:
        ours = _propagator(state.grid, ScipyTransforms(shape=state.grid.shape), pool)
        leg = Leg(start=0.0, stop=STEP * steps, dt=STEP, steps=steps)
        ours.advance(psi, into, leg, lambda: None)
        for _ in range(rounds):
            seconds[BARE].append(timed(bare))
            seconds["FFTs and products of whole arrays"].append(timed(plain))
            begun = time.perf_counter()
            ours.advance(psi, into, leg, lambda: None)
            seconds["qwf_async"].append((time.perf_counter() - begun) / steps)
    return [a / b for a, b in zip(seconds["qwf_async"], seconds[BARE], strict=True)], seconds


def _propagator(grid: Grid, transforms: Transforms, pool: ThreadPoolExecutor) -> Propagator:
    potential = read_potential(POTENTIAL)
    return Propagator(grid=grid, potential=potential, damping=None, pool=pool, transforms=transforms)


def _libraries(sizes: Sequence[int], rounds: int) -> dict[str, Any]:
    """Seconds of CPU a step with SciPy and with FFTW, in turn, and how long the plans took (wall clock)."""
    grid = Grid.of(sizes, box=(30.0,) * len(sizes))
    psi = np.random.default_rng(1).standard_normal((*grid.shape[1:], 2)).view(np.complex128)[..., 0].copy()
    into = np.empty_like(psi)
    steps = max(2, 2**21 // grid.frame_points)
    leg = Leg(start=0.0, stop=STEP * steps, dt=STEP, steps=steps)
    found: dict[str, Any] = {"grid": "x".join(map(str, sizes))}
    with ThreadPoolExecutor(cores()) as pool, tempfile.TemporaryDirectory() as folder:
        for when in ("measuring", "reading"):
            begun = time.perf_counter()
            fast = FftwTransforms(
                shape=grid.shape,
                across_x=block_size(grid, 1),
                across_y=block_size(grid, 2),
                threads=cores(),
                folder=Path(folder),
            )
            found[when] = time.perf_counter() - begun
        runs = [_propagator(grid, one, pool) for one in (ScipyTransforms(shape=grid.shape), fast)]
        seconds: list[list[float]] = [[], []]
        for _ in range(rounds + 1):
            for own, run in zip(seconds, runs, strict=True):
                begun = time.process_time()
                run.advance(psi, into, leg, lambda: None)
                own.append((time.process_time() - begun) / steps)
    first, second = (own[1:] for own in seconds)
    found |= {"scipy": median(first), "fftw": median(second)}
    found["ratio"] = median(b / a for a, b in zip(first, second, strict=True))
    return found


def _overlap(edge: int, steps: int, frames: int) -> dict[str, float]:
    """Seconds of the evolution alone, of loading its frames alone, and of both, for the layouts tile and flat."""
    source = evolve(_state(edge, frames, steps), POTENTIAL, steps=steps)
    psi = np.empty(source.grid.shape, np.complex128)
    begun = time.perf_counter()
    for number in range(frames):
        box = Box(start=(number, 0, 0, 0), stop=(number + 1, edge, edge, edge))
        psi[number] = source.read(box)[0]
    alone = time.perf_counter() - begun
    source.close()
    found: dict[str, float] = {"evolution alone, s": alone}
    with running("valkey") as server:
        for layout in ("tile", "flat"):
            stored = _ingest(server, array(psi, source.grid), layout)
            both = _ingest(server, evolve(_state(edge, frames, steps), POTENTIAL, steps=steps), layout)
            found |= {f"{layout}: its frames loaded alone, s": stored, f"{layout}: both at once, s": both}
            found[f"{layout}: both / the longer alone, wanted 1.15"] = both / max(alone, stored)
    return found


def _ingest(server: Running, source: Source, layout: str) -> float:
    server.empty()

    async def load() -> float:
        async with qwf_async.connect(server.url) as store:
            begun = time.perf_counter()
            await qwf_async.ingest(source, store, "bench", layout=layout)
            return time.perf_counter() - begun

    try:
        return anyio.run(load, backend="asyncio", backend_options={"use_uvloop": True})
    finally:
        source.close()
