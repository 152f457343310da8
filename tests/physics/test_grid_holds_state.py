"""A warning tells of a grid that cannot hold a state, with the share lost and a grid that can; a default box fits."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import qwf_async
from qwf_async import Grid, observables, sources
from qwf_async.events import Event, Noted
from qwf_async.source import coherent, gaussian, harmonic, hydrogen
from qwf_async.source.analytic.formula import Analytic
from qwf_async.source.evolve import evolve
from tests.conftest import Server
from tests.support.command import Shell

FINE = Grid.of((4096,), box=(80,), frames=3, dt=0.7)


def line(points: int, box: float | None = None, frames: int = 1) -> Grid:
    return Grid.of((points,), box=None if box is None else (box,), frames=frames, dt=0.7)


@pytest.mark.parametrize(
    ("state", "share"),
    [
        (gaussian(k=3, sigma=0.8, x0=-1, grid=FINE), 1.0),
        (coherent(alpha=1.5 - 1j, omega=0.7, grid=FINE), 1.0),
        (harmonic(7, omega=1.6, grid=FINE), 1.0),
        (harmonic({0: 1, 3: 0.5j}, grid=FINE), 2.0),  # a bound, over all times
    ],
    ids=lambda value: getattr(value, "spec", ""),
)
def test_what_is_lost_is_what_a_fine_grid_and_its_transform_say(state: Analytic, share: float) -> None:
    psi = state.read(FINE.whole)[:, :, 0, 0]
    x = FINE.coordinates(1, 0, 4096)
    density = np.abs(psi) ** 2 * (x[1] - x[0])
    p = 2 * math.pi * np.fft.fftfreq(2**17, x[1] - x[0])
    momentum = np.abs(np.fft.fft(psi, 2**17)) ** 2
    momentum /= momentum.sum(axis=1, keepdims=True)
    for low, high in ((-2.0, 2.5), (-1.0, 4.0), (-3.0, 3.0)):
        outside = density[:, (x < low) | (x > high)].sum(axis=1).max()
        assert outside * 0.98 - 1e-6 <= state.outside(0, low, high) <= share * outside * 1.02 + 1e-6
    for k in (1.5, 3.0, 3.7):
        beyond = momentum[:, np.abs(p) > k].sum(axis=1).max()
        assert beyond * 0.98 - 1e-6 <= state.beyond(0, k) <= share * beyond * 1.02 + 1e-6


def test_the_weights_of_hydrogen_are_those_of_the_closed_forms() -> None:
    # Radial densities 4r²e^{−2r} and r⁴e^{−r}/24; momenta 32p²/π(1+p²)⁴ (Bethe and Salpeter, section 8).
    for radius in (0.5, 2.0, 6.0):
        ground = math.exp(-2 * radius) * (1 + 2 * radius + 2 * radius**2)
        assert hydrogen().outside(0, -radius, 2 * radius) == pytest.approx(ground, rel=1e-3)
        upper = math.exp(-radius) * sum(radius**k / math.factorial(k) for k in range(5))
        assert hydrogen(2, 1).outside(1, -9 * radius, radius) == pytest.approx(upper, rel=1e-3)
        assert hydrogen(2, 1, Z=3).outside(1, -radius / 3, radius) == pytest.approx(upper, rel=1e-3)
    p = np.linspace(0, 400, 2_000_001)
    density = 32 / math.pi * p**2 / (1 + p**2) ** 4
    for k in (0.3, 1.0, 4.0):
        beyond = density[p > k].sum() * p[1]
        assert hydrogen().beyond(2, k) == pytest.approx(beyond, rel=2e-3)
        assert hydrogen(Z=2).beyond(2, 2 * k) == pytest.approx(beyond, rel=2e-3)


def test_the_momentum_of_an_upper_state_is_that_of_its_values() -> None:
    state = hydrogen(3, 1, 0, grid=Grid.cube(96, box=80))
    psi = state.read(state.grid.whole)[0]
    weight = np.abs(np.fft.fftn(psi)) ** 2
    p = 2 * math.pi * np.fft.fftfreq(96, 80 / 96)
    square = p[:, None, None] ** 2 + p[:, None] ** 2 + p**2
    weight /= weight.sum()
    for k in (0.2, 0.45, 0.8):
        assert (
            weight[square > (k + p[1]) ** 2].sum()
            < state.beyond(0, k)
            < weight[square > (k - p[1]) ** 2].sum()
        )


UNFIT: dict[str, tuple[Callable[[Grid], Analytic], Grid, str]] = {
    "a packet wider than its box": (lambda g: gaussian(sigma=5, grid=g), line(64, 4), r"68\.9 % of \|ψ\|².*along x"),
    "a packet faster than its grid": (lambda g: gaussian(k=12, grid=g), line(64, 20), r"100 % of the momentum along x"),
    "a packet that leaves": (lambda g: gaussian(k=9, grid=g), line(128, 16, frames=3), r"100 % of \|ψ\|²"),
    "a swing out of the box": (lambda g: coherent(alpha=3, grid=g), line(128, 4), r"99\.9 % of \|ψ\|²"),
    "a swing that is fast at times": (
        lambda g: coherent(alpha=40j, grid=g), line(64, 20, frames=3), r"of \|ψ\|².*of the momentum"
    ),
    "a level that 64 points cannot hold": (lambda g: harmonic(60, grid=g), line(64), r"of \|ψ\|²"),
    "levels along two axes": (
        lambda g: harmonic({(3, 0): 1, (90, 1): 1j}, grid=g), Grid.of((64, 48)), r"of \|ψ\|².*along x:"
    ),
    "an orbital larger than its box": (
        lambda g: hydrogen(3, 2, 1, grid=g), Grid.cube(48, box=6), r"99\.5 % of \|ψ\|².*along x, y, z"
    ),
    "an orbital between the points": (
        lambda g: hydrogen(1, grid=g), Grid.cube(16, box=200), r"95\.3 % of the momentum along x, y, z"
    ),
    "a cusp on the default grid": (lambda g: hydrogen(6, grid=g), Grid.cube(64), r"of the momentum"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNFIT, ids=str)
def test_a_grid_that_cannot_hold_the_state_is_told_with_one_that_can(case: str) -> None:
    make, grid, figure = UNFIT[case]
    (told,) = make(grid).warnings()
    assert re.search(figure, told)
    advice = re.search(r"grid=(Grid\.of\(.*\)) would do$", told)
    assert advice is not None
    shape, box = re.fullmatch(r"Grid\.of\(\((.*)\), box=\((.*)\)\)", advice[1]).groups()  # type: ignore[union-attr]
    sizes, edges = [int(n) for n in shape.split(",") if n], [float(e) for e in box.split(",") if e]
    axis = grid.axes[0]
    followed = Grid.of(sizes, box=edges * (len(sizes) // len(edges)), frames=grid.shape[0], dt=axis.step)
    assert make(followed).warnings() == []


@pytest.mark.parametrize(
    "state",
    [gaussian(), gaussian(k=5, grid=line(64)), coherent(alpha=3), harmonic(40, grid=line(64)), hydrogen(3, 2, 1),
     hydrogen(1), hydrogen(10, 9), sources.box(60, grid=line(64)), sources.plane(k=32)],
    ids=lambda state: state.spec,
)  # fmt: skip
def test_a_default_box_holds_the_state_and_nothing_is_told(state: Analytic) -> None:
    assert state.warnings() == []


@pytest.mark.parametrize("n", [0, 10, 20, 30, 40])
def test_a_level_on_the_points_that_are_given_has_its_norm_and_energy(n: int) -> None:
    state = harmonic(n, grid=line(64))
    psi, v = state.read(state.grid.whole), 0.5 * state.grid.coordinates(1, 0, 64) ** 2
    assert observables.norm(psi, state.grid)[0] == pytest.approx(1, abs=1e-3)
    assert observables.energy(psi, state.grid, v[:, None, None])[0] == pytest.approx(n + 0.5, rel=1e-3)


def test_where_points_do_not_suffice_the_state_is_cut_and_not_aliased() -> None:
    for state in (
        harmonic(60, grid=line(64)),
        coherent(alpha=40j, grid=line(64)),
        harmonic(300, grid=line(64)),
    ):
        assert state.beyond(0, math.pi / (state.grid.axes[1].step or 1)) < 0.1


def test_an_evolution_is_told_of_its_initial_state_alone() -> None:
    fast, leaves = gaussian(k=12, grid=line(64, 20, 3)), gaussian(k=3, grid=line(128, 20, 9))
    assert "of the momentum along x" in evolve(fast, "free").warnings()[0]
    assert leaves.warnings()  # by its own motion, but the evolution's grid is periodic
    assert evolve(leaves, "free").warnings() == []


@pytest.mark.anyio
async def test_an_ingest_in_python_says_it_in_its_report_and_to_its_hooks(server: Server) -> None:
    events: list[Event] = []
    async with qwf_async.connect(server.url) as store:
        state = gaussian(k=50, grid=line(64, 20))
        report = await qwf_async.ingest(state, store, "psi", hooks=(events.append,))
        fit = await qwf_async.ingest(gaussian(), store, "fit")
    assert report.warnings == tuple(state.warnings())
    assert [e.text for e in events if isinstance(e, Noted) and e.warning] == list(report.warnings)
    assert fit.warnings == ()


def test_the_command_line_says_it_before_and_its_advice_ends_it(server: Server, tmp_path: Path) -> None:
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    slow = ("ingest", "evolve:potential=free,k=12", "--frames", "3", "--dt", "0.1")
    told = shell.qwf(*slow, "--grid", "64x1", "--box", "20", "--dry-run").err
    assert re.search(r"warning: the grid does not hold gaussian:k=12.*; --box 20 --grid \d+x1 would do", told)
    advice = told.partition("coarse; ")[2].partition(" would")[0].split()
    followed = shell.qwf(*slow, *advice, "--name", "fit", "--json")
    assert followed.status == 0
    assert "warning: the grid" not in followed.err
    assert json.loads(followed.out)["warnings"] == []
    stored = shell.qwf("ingest", "gaussian:sigma=5", "--grid", "64x1", "--box", "4")
    assert stored.status == 0
    assert "warning: the grid does not hold gaussian" in stored.err
    assert "norm 0.310839647, not 1: ψ is stored as it is" in stored.err


def test_the_norm_of_a_file_is_a_plain_statement(server: Server, tmp_path: Path) -> None:
    np.save(tmp_path / "psi.npy", np.full((4, 4, 4), 2.0 + 0j))
    stored = Shell.at(tmp_path, QWF_URL=server.url).qwf("ingest", "psi.npy", "--box", "2")
    assert stored.status == 0
    assert "norm 32, not 1: ψ is stored as it is" in stored.err
    assert "warning: the grid" not in stored.err
