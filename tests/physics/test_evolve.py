"""Time evolution against exact states and the exponential of the Hamiltonian, and the promise of its source."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import expm

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Axis, Box, Grid
from qwf_async.lattice.units import ANGSTROM
from qwf_async.observables import norm, position
from qwf_async.observables.momentum import wave_numbers
from qwf_async.source import (
    Source,
    array,
    coherent,
    evolve,
    gaussian,
    harmonic,
    open_source,
    read_potential,
)
from qwf_async.source.evolve import Evolve, evolution
from qwf_async.source.evolve.potentials import potential_values

Complex = NDArray[np.complex128]


def film_of(source: Source) -> Complex:
    with closing(source):
        return np.asarray(source.read(source.grid.whole))


def largest(difference: NDArray[Any]) -> float:
    return float(np.abs(difference).max())


def frame_box(source: Source, number: int) -> Box:
    return Box(start=(number, 0, 0, 0), stop=(number + 1, *source.grid.shape[1:]))


@pytest.mark.parametrize("sizes", [(256,), (128, 80), (64, 48, 40)], ids=["1-D", "2-D", "3-D"])
def test_a_free_packet_is_the_exact_one_whatever_the_step(sizes: tuple[int, ...]) -> None:
    d = len(sizes)
    grid = Grid.of(sizes, box=(26.0, 24.0, 22.0)[:d], frames=3, dt=0.4)
    exact = gaussian(k=(1, -0.5, 0.3)[:d], sigma=1.1, grid=grid)
    found = film_of(evolve(exact, steps=1))
    assert largest(found - exact.read(grid.whole)) < 2e-6


@pytest.mark.parametrize(
    ("alpha", "omega", "sizes"), [((1 + 0.5j,), (1,), (96,)), ((0.5, 0.8j, 0), (1, 1.5, 0.7), (40, 36, 32))]
)
def test_a_coherent_state_swings_as_the_exact_one(
    alpha: tuple[complex, ...], omega: tuple[float, ...], sizes: tuple[int, ...]
) -> None:
    exact = coherent(alpha=alpha, omega=omega, grid=Grid.of(sizes, frames=5))
    trap = "harmonic:omega=" + "x".join(map(str, omega))
    found = film_of(evolve(exact, trap, steps=250))
    assert largest(found - exact.read(exact.grid.whole)) < 5e-5


def hamiltonian(grid: Grid, v: NDArray[np.float64]) -> Complex:
    """T + V as a matrix over the points of a frame, from the matrix of the Fourier transform, without an FFT."""
    total = np.diag(np.broadcast_to(v, grid.shape[1:]).ravel()).astype(complex)
    for axis in range(1, grid.dimensions + 1):
        n = grid.shape[axis]
        fourier = np.exp(-2j * np.pi * np.outer(range(n), range(n)) / n) / math.sqrt(n)
        line = fourier.conj().T @ np.diag(wave_numbers(grid, axis) ** 2 / 2) @ fourier
        parts = [line if other == axis else np.eye(grid.shape[other]) for other in (1, 2, 3)]
        total += np.kron(np.kron(parts[0], parts[1]), parts[2])
    return total


@pytest.mark.parametrize(
    ("potential", "sizes"),
    [
        ("barrier:height=2,width=1.5", (24,)),
        ("coulomb:soft=0.8", (23,)),
        ("box:width=5,height=3", (12, 9)),
        ("double-slit:height=3", (10, 9)),
        ("harmonic:omega=1x0.5x2,centre=1x0x-0.5", (6, 7, 5)),
    ],
)
def test_the_error_against_the_matrix_exponential_is_of_second_order(
    potential: str, sizes: tuple[int, ...]
) -> None:
    grid = Grid.of(sizes, box=(10.0,) * len(sizes), frames=2, dt=0.5)
    state = gaussian(k=0.5, sigma=1.2, grid=grid)
    start = np.asarray(state.read(state.grid.whole))[0].ravel()
    turn = expm(-0.5j * hamiltonian(grid, potential_values(read_potential(potential), grid, 0.0)))
    errors = []
    for steps in (16, 32, 64):
        with closing(evolve(state, potential, steps=steps)) as source:
            found = source.read(frame_box(source, 1)).ravel()
        errors.append(float(np.linalg.norm(found - turn @ start)))
    assert errors[2] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.02)


def test_a_potential_in_motion_is_of_second_order_too() -> None:
    def shaken(x: Any, y: Any, z: Any, t: float) -> Any:
        return x**2 / 2 + 2 * x * math.sin(3 * t + 0.4)

    grid = Grid.of((24,), box=(10.0,), frames=2, dt=0.6)
    state = harmonic(0, grid=grid)
    psi = np.asarray(state.read(state.grid.whole))[0].ravel()
    x = grid.coordinates(1, 0, 24)[:, None, None]
    fine, zero = 300, np.zeros((1, 1, 1))
    for number in range(fine):  # the midpoint rule of Magnus, with steps so small that its error is
        t = (number + 0.5) * 0.6 / fine
        psi = expm(-1j * 0.6 / fine * hamiltonian(grid, shaken(x, zero, zero, t))) @ psi
    errors = [
        float(np.linalg.norm(film_of(evolve(state, shaken, steps=steps))[1].ravel() - psi))
        for steps in (20, 40, 80)
    ]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.05)


def test_the_norm_is_kept_to_rounding_and_the_energy_to_second_order() -> None:
    grid = Grid.of((256,), box=(40.0,), frames=20, dt=0.3)
    state = gaussian(k=2, x0=-8, grid=grid)
    drifts = []
    for steps in (20, 40):
        source = evolve(state, "barrier:height=2", steps=steps)
        film_of(source)
        notes = source.notes()
        assert notes["norm_drift"] < 1e-12
        assert notes["energy_first"] == pytest.approx(2 + 1 / 8, rel=1e-6)
        drifts.append(notes["energy_drift"])
    assert 0 < drifts[1] < drifts[0] / 3 < 0.01


def test_what_leaves_the_grid_comes_back_unless_it_is_absorbed() -> None:
    grid = Grid.of((256,), box=(40.0,), frames=3, dt=10.0)
    state = gaussian(k=3, sigma=1.5, grid=grid)
    assert norm(film_of(evolve(state)), grid) == pytest.approx([1, 1, 1])
    kept = norm(film_of(evolve(state, absorb=6)), grid)
    assert kept[0] == pytest.approx(1)
    assert kept[1] < 1e-3
    source = evolve(state, absorb=6)
    film_of(source)
    assert source.notes()["norm_drift"] == pytest.approx(1, abs=1e-3)


def test_a_barrier_higher_than_the_energy_reflects() -> None:
    grid = Grid.of((512,), box=(60.0,), frames=2, dt=10.0)
    found = film_of(evolve(gaussian(k=2, x0=-10, sigma=2, grid=grid), "barrier:height=8,width=3"))
    assert position(found, grid)[1, 0] == pytest.approx(-13, abs=1)  # 8.5 there, 11.5 back


@pytest.fixture
def wide() -> Iterator[Callable[[], Evolve]]:
    """A maker of sources whose grid is cut into several blocks; they are closed at the end."""
    opened: list[Evolve] = []

    def make() -> Evolve:
        grid = Grid.of((48, 64, 56), box=(12.0, 12.0, 12.0), frames=4, dt=0.2)
        opened.append(evolve(gaussian(k=(1, 1), grid=grid), "coulomb:Z=2", steps=2))
        return opened[-1]

    yield make
    for source in opened:
        source.close()


def test_an_earlier_frame_asked_for_again_is_the_same_bit_for_bit(wide: Callable[[], Evolve]) -> None:
    source = wide()
    first = [source.read(frame_box(source, number)) for number in range(4)]
    kept = [frame.copy() for frame in first]
    for number in (2, 3, 0, 1, 1):
        assert np.array_equal(source.read(frame_box(source, number)), kept[number])
    for frame, copy in zip(first, kept, strict=True):  # arrays that were returned are not written to
        assert np.array_equal(frame, copy)
    part = Box(start=(1, 3, 5, 7), stop=(4, 17, 60, 8))
    assert np.array_equal(wide().read(part), np.concatenate(kept)[part.slices])


def test_values_do_not_depend_on_the_number_of_threads(
    wide: Callable[[], Evolve], monkeypatch: pytest.MonkeyPatch
) -> None:
    films = []
    for number in (1, 3):
        monkeypatch.setattr(evolution, "cores", lambda number=number: number)
        source = wide()
        interacting = evolve(source.initial, source.potential, steps=3, absorb=2, g=-0.5)
        with closing(interacting):
            last = [each.read(frame_box(each, 3)) for each in (source, interacting)]
        films.append(np.concatenate(last))
    assert np.array_equal(films[0], films[1])


def test_a_closed_evolution_says_so(wide: Callable[[], Evolve]) -> None:
    source = wide()
    source.read(frame_box(source, 0))
    source.close()
    source.close()
    with pytest.raises(InvalidInput, match="closed"):
        source.read(frame_box(source, 1))


def test_a_step_that_is_too_large_is_told_with_the_number_that_is_stable() -> None:
    grid = Grid.of((64,), box=(16.0,), frames=2, dt=1.0)
    state = gaussian(grid=grid)
    # T = (π/0.25)²/2 = 78.96, so π/T = 0.03979; a potential of 200 Eh: π/200 = 0.01571
    (told,) = evolve(state, steps=10).warnings()
    assert "0.1 ħ/Eh" in told
    assert "up to 0.03979 ħ/Eh" in told
    assert "steps=26" in told
    (told,) = evolve(state, "harmonic:omega=2.5", steps=60).warnings()
    assert "up to 0.01571 ħ/Eh" in told
    assert evolve(state, steps=26).warnings() == []
    by_itself = evolve(state, "harmonic:omega=2.5")
    assert (by_itself.steps, by_itself.warnings()) == (64, [])


def test_a_wall_that_no_point_sees_is_told() -> None:
    grid = Grid.of((9,), box=(10.0,), frames=2, dt=0.01)
    for unseen in (lambda x, y, z: 1.0 * (abs(x) < 0.4), "barrier:centre=20"):
        (told,) = evolve(gaussian(grid=grid), unseen).warnings()
        assert "the same at all points" in told
    seen = evolve(gaussian(grid=grid), "barrier:width=0.8").warnings()
    assert not any("the same at all points" in told for told in seen)


def nan_at_the_origin(x: Any, y: Any, z: Any) -> Any:
    with np.errstate(invalid="ignore"):
        return np.where(x == 0, np.nan, 1.0)


BAD: dict[str, tuple[Any, str]] = {
    "wrong shape": (lambda x, y, z: np.ones(3), r"has the shape \(3,\), not one that fits \(32, 1, 1\)"),
    "too many dimensions": (lambda x, y, z: np.ones((2, 1, 1, 1)), "not one that fits"),
    "NaN": (nan_at_the_origin, "NaN or infinite at 1 points"),
    "complex": (lambda x, y, z: 1j * x, "must be real"),
    "raises": (lambda x, y, z: 1 // 0, "ZeroDivisionError"),
    "unknown": ("barier:height=2", "did you mean barrier"),
    "unknown parameter": ("barrier:hight=2", "height"),
    "value": ("barrier:height=high", "height is a number"),
    "no such module": ("no_such_module:v", "no_such_module"),
    "lacking": ("box", "width is missing"),
    "not above 0": ("coulomb:soft=0", "soft=0 must be above 0"),
    "too few dimensions": ("double-slit", "two dimensions"),
    "not finite": ("barrier:height=inf", "finite"),
}


@pytest.mark.parametrize(("potential", "message"), BAD.values(), ids=BAD.keys())
def test_a_potential_that_cannot_be_used_is_refused_when_the_source_is_made(
    potential: Any, message: str
) -> None:
    grid = Grid.of((32,), box=(10.0,), frames=2, dt=0.1)
    with pytest.raises(InvalidInput, match=message):
        evolve(gaussian(grid=grid), potential)


def test_a_potential_that_fails_later_is_an_error_of_the_frame() -> None:
    def fails(x: Any, y: Any, z: Any, t: float) -> Any:
        return np.full(x.shape, np.nan) if 0.35 < t < 0.45 else x * 0

    grid = Grid.of((32,), box=(10.0,), frames=7, dt=0.1)
    with closing(evolve(gaussian(grid=grid), fails, steps=1)) as source:
        source.read(frame_box(source, 2))
        for _ in range(2):
            with pytest.raises(InvalidInput, match=r"NaN or infinite at 32 points at t = 0\.4"):
                source.read(frame_box(source, 5))


def test_grids_and_options_that_cannot_be_used_are_refused() -> None:
    bare = array(np.ones((8, 8), np.complex128))
    with pytest.raises(InvalidInput, match="spacing of axis x is not known"):
        evolve(bare)
    known = array(np.ones(8, np.complex128), Grid.of((8,), box=(4.0,)))
    with pytest.raises(InvalidInput, match="need a time step: give dt"):
        evolve(known, frames=3)
    with pytest.raises(InvalidInput, match="steps=-1"):
        evolve(known, frames=3, dt=0.1, steps=-1)
    with pytest.raises(InvalidInput, match="leaves nothing of 4 bohr"):
        evolve(known, frames=3, dt=0.1, absorb=2)
    moons = replace(known.grid, axes=(Axis(step=1, unit="moons"), *known.grid.axes[1:]))
    with pytest.raises(InvalidInput, match=r"axis t is in 'moons'.*by dt"):
        evolve(array(known.psi, moons))


def test_lengths_in_another_unit_are_converted() -> None:
    exact = coherent(alpha=1, grid=Grid.of((64,), box=(16.0,), frames=3, dt=0.5))
    x = exact.grid.axes[1]
    assert x.step is not None
    axis = Axis(origin=x.origin / ANGSTROM, step=x.step / ANGSTROM, unit="angstrom")
    grid = replace(exact.grid, axes=(exact.grid.axes[0], axis, *exact.grid.axes[2:]))
    psi = np.asarray(exact.read(exact.grid.whole))
    source = evolve(array(psi, grid), "harmonic", absorb=0.1, frame=0)
    assert source.stable == pytest.approx(evolve(exact, "harmonic").stable)
    assert largest(film_of(source) - psi) < 1e-3
    assert source.notes()["norm_first"] == pytest.approx(1)
    assert source.notes()["energy_first"] == pytest.approx(1.5)


def test_any_source_can_be_the_beginning() -> None:
    grid = Grid.of((64,), box=(20.0,))
    psi = np.exp(-(np.linspace(-10, 10, 64, endpoint=False) ** 2)).astype(np.complex64)
    found = film_of(evolve(array(psi, grid), frames=3, dt=0.1))
    assert found.shape == (3, 64, 1, 1)
    assert found[0].ravel() == pytest.approx(psi)
    assert norm(found, grid) == pytest.approx([norm(found, grid)[0]] * 3)


TEXTS = [
    "evolve",
    "evolve:potential=free,k=2,sigma=1.5,x0=-3",
    "evolve:potential=barrier,height=2,width=0.5,centre=1,kx=2,steps=7",
    "evolve:potential=harmonic,omega=2,initial=coherent,alpha=1+0.5j",
    "evolve:potential=harmonic,omega=2,initial=coherent,initial.omega=1,absorb=0.5,strength=3",
    "evolve:potential=box,width=3,initial=harmonic,n=0+1",
]


@pytest.mark.parametrize("text", TEXTS)
def test_spec_is_read_back_to_the_same_evolution(text: str) -> None:
    options: dict[str, Any] = {"grid": "32x24", "frames": 3, "dt": 0.05}
    with (
        closing(open_source(text, **options)) as source,
        closing(open_source(source.spec, **options)) as again,
    ):
        assert again == source
        assert again.fingerprint() == source.fingerprint()
        assert not set(source.spec) & set(" *?[]()$&;|<>'\"\\!`~#{}"), "a shell must leave it alone"


def test_whatever_changes_the_values_changes_the_fingerprint() -> None:
    texts = ["", "k=1", "potential=barrier", "potential=barrier,height=2", "steps=9", "absorb=1", "sigma=2"]
    texts += ["initial=coherent,alpha=1", "absorb=1,strength=2"]
    found = set()
    for text in texts:
        for dt in (0.1, 0.2):
            with closing(open_source(f"evolve:{text}", grid="32x1x1", box="12", frames=2, dt=dt)) as source:
                found.add(source.fingerprint())
    assert len(found) == 2 * len(texts)


def test_a_parameter_goes_to_the_parts_that_have_it() -> None:
    with closing(
        open_source("evolve:potential=harmonic,omega=2,initial=coherent,alpha=1", grid="64x1x1", frames=3)
    ) as source:
        exact = coherent(alpha=1, omega=2, grid=source.grid)
        assert source.read(source.grid.whole) == pytest.approx(exact.read(source.grid.whole), abs=1e-3)
    for text, message in {
        "evolve:kk=2": "no parameter 'kk'",
        "evolve:potential=free,height=2": "no parameter 'height'",
        "evolve:k": "must be written as parameter=value",
        "evolve:k=1,k=2": "k is given twice",
        "evolve:initial=gausian": "did you mean gaussian",
        "evolve:initial.height=2,potential=barrier": "height",
        "evolv": "did you mean evolve",
    }.items():
        with pytest.raises(InvalidInput, match=message):
            open_source(text, grid="32x1x1", frames=2, dt=0.1)


def test_a_file_and_a_module_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evolve_test_trap.py").write_text("def v(x, y, z): return x**2 / 2\n")
    exact = coherent(alpha=1, grid=Grid.of((64,), box=(16.0,), frames=3, dt=0.5))
    np.save("psi.npy", np.asarray(exact.read(exact.grid.whole))[0, :, 0, 0])
    options: dict[str, Any] = {"box": "16", "frames": 3, "dt": 0.5}
    text = "evolve:potential=evolve_test_trap:v,initial=psi.npy,steps=100"
    with closing(open_source(text, grid="64x1x1", **options)) as source:
        assert source.spec == f"{text},absorb=0"
        assert source.read(source.grid.whole) == pytest.approx(exact.read(exact.grid.whole), abs=1e-4)
    with pytest.raises(
        InvalidInput, match="has 64x1x1 points a frame, and the grid 32x1x1: give grid='64x1x1'"
    ):
        open_source(text, grid="32x1x1", **options)
