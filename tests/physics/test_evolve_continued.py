"""A run that begins where another ended, with a frame of an array or of a file."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Axis, Grid
from qwf_async.lattice.units import TIME_SECONDS
from qwf_async.source import Source, array, coherent, evolve, files, gaussian, open_source
from qwf_async.source.formats.table import writers
from qwf_async.source.formats.writing import ExportHeader

Complex = NDArray[np.complex128]
GRID = Grid.of((64,), box=(24.0,), frames=5, dt=0.5)


def shaken(x: Any, y: Any, z: Any, t: float) -> Any:
    return 0.5 * x * x + 0.6 * x * math.sin(1.1 * t)


def film_of(source: Source) -> Complex:
    with closing(source):
        return np.asarray(source.read(source.grid.whole))


def whole_run() -> Complex:
    return film_of(evolve(gaussian(k=1, grid=GRID), shaken, steps=20))


def written(path: Path, psi: Complex, grid: Grid) -> Path:
    header = ExportHeader(grid=grid, dtype=psi.dtype, title="a run")
    with writers()["hdf5"].open([path], header) as write:
        write(grid.whole, psi)
    return path


def begins(source: Source) -> float:
    time = source.grid.axes[0].origin
    source.close()
    return time


def test_a_run_goes_on_as_the_uninterrupted_one() -> None:
    psi = whole_run()
    part = array(psi[:3], replace(GRID, shape=(3, 64, 1, 1)))  # its last frame is at t = 1
    assert np.array_equal(film_of(evolve(part, shaken, steps=20)), psi[2:])
    for chosen in ({"frame": 1}, {"start": 0.5}, {"frame": -2}, {"frame": 1, "start": 0.5}):
        again = evolve(part, shaken, steps=20, frames=4, **chosen)
        assert np.array_equal(film_of(again), psi[1:])
    lone = array(psi[2:3], Grid.of((64,), box=(24.0,)))
    assert np.array_equal(film_of(evolve(lone, shaken, start=1.0, frames=3, dt=0.5, steps=20)), psi[2:])
    assert begins(evolve(lone, shaken, frames=3, dt=0.5)) == 0  # its time is not known
    assert begins(evolve(part, shaken, frame=2, start=7.0)) == 7  # as if it had been then


def test_a_file_with_times_goes_on_where_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    psi = whole_run()
    femtosecond = 1e-15 / TIME_SECONDS
    time = Axis(origin=0.0, step=0.5 / femtosecond, unit="fs")
    grid = replace(GRID, shape=(3, 64, 1, 1), axes=(time, *GRID.axes[1:]))
    path = written(tmp_path / "run.h5", psi[:3], grid)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shaken_by.py").write_text(
        "from math import sin\ndef v(x, y, z, t): return 0.5 * x * x + 0.6 * x * sin(1.1 * t)\n"
    )
    text = f"evolve:potential=shaken_by:v,initial={path.name},steps=20"
    source = open_source(text, frames=3)
    assert source.spec == "evolve:potential=shaken_by:v,initial=run.h5,frame=2,steps=20,absorb=0"
    assert np.abs(film_of(source) - psi[2:]).max() < 1e-12
    for chosen, first in {"start=0.5": 1, "frame=0": 0, "frame=-1": 2}.items():
        found = film_of(open_source(f"{text},{chosen}", frames=2))
        assert np.abs(found - psi[first : first + 2]).max() < 1e-12
    with closing(open_source(f"{text},frame=1,start=3", frames=2)) as source:
        with closing(open_source(source.spec, frames=2)) as again:
            assert (again.grid, again.fingerprint()) == (source.grid, source.fingerprint())
        assert source.grid.axes[0].origin == 3
        assert "frame 1 of run.h5, at t = 3 ħ/Eh" in source.understood()["initial"]  # type: ignore[attr-defined]
    with closing(open_source(f"{text},frame=0", frames=2)) as other:
        assert other.fingerprint() != source.fingerprint()


def test_a_file_without_times_is_given_one(tmp_path: Path) -> None:
    psi = whole_run()
    np.save(tmp_path / "mid.npy", psi[2, :, 0, 0])
    np.save(tmp_path / "film.npy", psi)
    options: dict[str, Any] = {"box": "24", "frames": 3, "dt": 0.5}
    assert begins(open_source(f"evolve:initial={tmp_path}/mid.npy,start=1", grid="64x1", **options)) == 1
    assert begins(open_source(f"evolve:initial={tmp_path}/mid.npy", **options)) == 0
    assert begins(open_source(f"evolve:initial={tmp_path}/film.npy,frame=1,start=0.5", **options)) == 0.5
    with pytest.raises(InvalidInput, match="does not say which of the 5 frames"):
        open_source(f"evolve:initial={tmp_path}/film.npy,start=0.5", **options)


def test_what_does_not_fit_is_refused_with_the_numbers(tmp_path: Path) -> None:
    psi = whole_run()
    path = written(tmp_path / "run.h5", psi, GRID)
    for text, options, message in (
        ("start=0.7", {}, r"start=0.7: .*run.h5 has its frames at t = 0 to 2 in steps of 0.5 ħ/Eh"),
        ("frame=5", {}, r"frame=5: .* has 5 frames, 0 to 4"),
        ("frame=-6", {}, "frame=-6"),
        ("start=nan", {}, "start=nan"),
        ("steps=3", {"grid": "128x1"}, "has 64x1x1 points a frame, and the grid 128x1x1"),
        ("steps=3", {"box": "20"}, "lies from -12 to 12 bohr along x, and box asks for -10 to 10"),
        ("start=x", {}, "start=x cannot be read"),
    ):
        with pytest.raises(InvalidInput, match=message):
            open_source(f"evolve:initial={path},{text}", frames=2, **options)  # type: ignore[arg-type]
    assert begins(open_source(f"evolve:initial={path}", frames=2, box="24", grid="64x1")) == 2
    with pytest.raises(InvalidInput, match="ψ at any time, give start="):
        open_source("evolve:frame=1", grid="64x1", box="24", frames=2, dt=0.5)
    with pytest.raises(InvalidInput, match="opened with its store"):
        open_source("evolve:initial=my-run", frames=2, dt=0.5)


def test_a_state_can_be_taken_at_another_time() -> None:
    exact = coherent(alpha=1, grid=replace(GRID, shape=(3, 64, 1, 1)))
    later = coherent(alpha=1, grid=replace(exact.grid, axes=(Axis(origin=2.0, step=0.5), *GRID.axes[1:])))
    found = film_of(evolve(exact, "harmonic", start=2.0, accuracy=1e-5))
    assert np.abs(found - later.read(later.grid.whole)).max() < 1e-5
    text = "evolve:potential=harmonic,initial=coherent,alpha=1,start=2"
    with closing(open_source(text, grid="64x1", box="24", frames=3, dt=0.5)) as source:
        assert "start=2" in source.spec
        assert np.abs(source.read(source.grid.whole) - later.read(later.grid.whole)).max() < 1e-3


def test_the_mass_of_the_data_is_that_of_the_run(tmp_path: Path) -> None:
    path = written(tmp_path / "run.h5", whole_run(), replace(GRID, mass=2.5))
    with closing(files(str(path))) as data, closing(evolve(data, frames=2)) as source:
        assert source.grid.mass == 2.5
    with closing(open_source(f"evolve:initial={path},mass=3", frames=2)) as source:
        assert source.grid.mass == 3
