"""FFTW in place of SciPy: the same values but for rounding, and the same plans for every run that goes on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyfftw
import pytest
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput, UsageError
from qwf_async.lattice.grid import Grid
from qwf_async.source import evolve, gaussian, open_source
from qwf_async.source.evolve import choosing, fftw
from qwf_async.source.evolve.fftw import FftwTransforms, PlansNotKept
from qwf_async.source.evolve.transforms import ScipyTransforms, Transforms

SHAPE = (1, 12, 10, 9)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def transforms(folder: Path, shape: tuple[int, int, int, int] = SHAPE, **blocks: int) -> FftwTransforms:
    return FftwTransforms(shape=shape, folder=folder, threads=2, **{"across_x": 5, "across_y": 4, **blocks})


def film(fft: str, grid: Grid) -> tuple[NDArray[Any], str]:
    with closing(evolve(gaussian(k=1, grid=grid), "harmonic", fft=fft, steps=4)) as source:
        return source.read(grid.whole), source.fingerprint()


@pytest.mark.parametrize("sizes", [(96,), (48, 40), (12, 14, 10)], ids=["1-D", "2-D", "3-D"])
def test_values_are_those_of_scipy_but_for_rounding(sizes: tuple[int, ...]) -> None:
    grid = Grid.of(sizes, box=(16.0,) * len(sizes), frames=3, dt=0.1)
    usual, by_scipy = film("scipy", grid)
    other, by_fftw = film("fftw", grid)
    assert 0 < np.abs(usual - other).max() < 1e-13
    assert "scipy=" in by_scipy
    assert f"fftw={pyfftw.fftw_version}" in by_fftw
    repeated, fingerprint = film("fftw", grid)
    np.testing.assert_array_equal(repeated, other)
    assert fingerprint == by_fftw


def test_blocks_of_every_size_are_transformed_by_several_threads_at_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    psi = rng.standard_normal(SHAPE[1:]) + 1j * rng.standard_normal(SHAPE[1:])
    factor = np.exp(1j * rng.standard_normal((1, 10, 9)))
    turn = np.exp(1j * rng.standard_normal((12, 1, 1)))

    def turned(by: Transforms) -> NDArray[np.complex128]:
        frame = psi.copy()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda start: by.forward(frame[start : start + 5], factor), (0, 5, 10)))
            list(pool.map(lambda start: by.along(frame[:, start : start + 4], turn), (0, 4, 8)))
            list(pool.map(lambda start: by.back(frame[start : start + 5]), (0, 5, 10)))
        return frame

    usual = turned(ScipyTransforms(shape=SHAPE))
    np.testing.assert_allclose(turned(transforms(tmp_path)), usual, atol=1e-13)


def test_plans_are_kept_and_the_wisdom_of_the_process_is_left_alone(tmp_path: Path) -> None:
    pyfftw.forget_wisdom()
    pyfftw.FFTW(np.empty(60, np.complex128), np.empty(60, np.complex128), flags=("FFTW_MEASURE",))
    own = pyfftw.export_wisdom()
    first = transforms(tmp_path)
    (kept,) = tmp_path.iterdir()
    wisdom = kept.read_bytes()
    assert transforms(tmp_path).facts == first.facts
    assert kept.read_bytes() == wisdom
    assert pyfftw.export_wisdom() == own
    kept.write_bytes(wisdom[: len(wisdom) // 2])  # as of a disk that was full
    transforms(tmp_path)
    assert transforms(tmp_path).facts == transforms(tmp_path).facts
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]


def test_a_plan_that_rounds_otherwise_has_another_digest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Rounding:
        """A plan whose last value is off by one bit."""

        def __init__(self, plan: Any) -> None:
            self.plan, self.input_array = plan, plan.input_array

        def execute(self) -> None:
            self.plan.execute()
            last = self.input_array.reshape(-1).view(np.float64)[-1:]
            np.nextafter(last, np.inf, out=last)

    plans = transforms(tmp_path)._free.get()
    assert fftw._digest(plans) == fftw._digest(plans)
    changed = {key: Rounding(plan) if key[0] == "back" else plan for key, plan in plans.items()}
    assert fftw._digest(changed) != fftw._digest(plans)


def test_without_a_place_for_the_plans_scipy_is_used_and_asking_for_fftw_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PlansNotKept):
        transforms(tmp_path / "file" / "below")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(choosing, "MIN_WORK", 1)
    grid = Grid.of((32,), box=(8.0,), frames=2, dt=0.1)
    assert "scipy=" in film("auto", grid)[1]
    with pytest.raises(InvalidInput, match=r"fft=fftw cannot be used: .* cannot be written"):
        film("fftw", grid)


def test_a_run_is_long_or_short_by_its_points_and_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = Grid.of((32,), box=(8.0,), frames=2, dt=0.1)
    assert "scipy=" in film("auto", grid)[1]
    monkeypatch.setattr(choosing, "MIN_WORK", 32 * 4)
    assert "fftw=" in film("auto", grid)[1]
    monkeypatch.setattr(choosing, "find_spec", lambda name: None)
    assert "scipy=" in film("auto", grid)[1]
    with pytest.raises(UsageError, match=r"pip install 'qwf_async\[fast\]'"):
        film("fftw", grid)


def test_text_names_the_library_and_the_name_of_the_run_does_not() -> None:
    options: dict[str, Any] = {"grid": "32x1", "box": "8", "frames": 2, "dt": 0.1}
    one, other = (open_source(f"evolve:steps=2{fft}", **options) for fft in (",fft=scipy", ""))
    assert one.spec == other.spec
    assert one.fingerprint() == other.fingerprint()
    one.close()
    other.close()
    with pytest.raises(InvalidInput, match="fft=mkl is unknown: it is one of auto, scipy, fftw"):
        open_source("evolve:fft=mkl", **options)
