"""The steps of an evolution: as many as its accuracy needs, the same in every run, and reported."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from qwf_async.cli.app import app
from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Box, Grid
from qwf_async.observables import momentum, position
from qwf_async.source import coherent, evolve, gaussian
from qwf_async.source.evolve import Evolve, evolution, pace, propagator
from tests.conftest import Server

Complex = NDArray[np.complex128]


def read(source: Evolve) -> Complex:
    return np.asarray(source.read(source.grid.whole))


def worst(found: Complex, right: Complex) -> float:
    """The largest distance of a frame from the exact one, in norms of the first frame."""
    apart = np.sqrt((np.abs(found - right) ** 2).sum(axis=(1, 2, 3)))
    return float(apart.max() / np.linalg.norm(right[0]))


def pulse(x: Any, y: Any, z: Any, t: float) -> Any:
    """A force along x during 0 < t < 2; it and its slope are 0 at both ends."""
    return 12.0 * x * math.sin(math.pi * t / 2) ** 2 * math.cos(5 * t) * (0 < t < 2)


def kick(x: Any, y: Any, z: Any, t: float) -> Any:
    return x**2 / 2 + 40 * math.exp(-(((t - 1.3) / 0.05) ** 2)) * np.exp(-(x**2))


def grid_of(sizes: tuple[int, ...], edge: float, frames: int, dt: float) -> Grid:
    return Grid.of(sizes, box=(edge,) * len(sizes), frames=frames, dt=dt)


RUNS: dict[str, tuple[Any, dict[str, Any], Grid]] = {
    "barrier, one long frame": (
        "barrier:height=2",
        {"k": 2, "sigma": 2, "x0": -6},
        grid_of((150,), 40, 2, 6.0),
    ),
    "barrier, met late": ("barrier:height=2", {"k": 2, "x0": -8}, grid_of((300,), 40, 13, 0.5)),
    "box": ("box:width=8,height=10", {"k": 1, "sigma": 0.8}, grid_of((64,), 30, 3, 5.0)),
    "coulomb": ("coulomb:soft=0.3", {}, grid_of((63,), 30, 3, 5.0)),
    "cusp": ("coulomb:soft=0.01", {}, grid_of((97,), 20, 3, 0.3)),
    "very short frames": ("coulomb:soft=0.3", {}, grid_of((64,), 20, 30, 0.003)),
    "slits, 2-D": ("double-slit", {"k": 2, "x0": -3}, grid_of((40, 33), 14, 3, 0.4)),
    "trap, 3-D": ("harmonic:omega=1x1.5x2", {"k": 0.5, "sigma": 0.7}, grid_of((18, 20, 15), 11, 3, 0.7)),
    "pulse": (pulse, {}, grid_of((128,), 40, 2, 2.0)),
    "kick within a frame": (kick, {"k": 1}, grid_of((64,), 18, 3, 2.0)),
}


@pytest.mark.parametrize("accuracy", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize(("potential", "state", "grid"), RUNS.values(), ids=RUNS.keys())
def test_the_error_keeps_to_the_accuracy_and_its_estimate(
    potential: Any, state: dict[str, Any], grid: Grid, accuracy: float
) -> None:
    """The reference frames have 4 times as many steps, and so a 16th of the error."""
    start = gaussian(grid=grid, **state)
    with closing(evolve(start, potential, accuracy=accuracy)) as source:
        found = read(source)
        estimate = source.notes()["error_estimate"]
    with closing(evolve(start, potential, steps=4 * source.steps)) as fine:
        error = worst(found, read(fine))
    assert error * 15 / 16 <= estimate <= accuracy


def test_a_coherent_state_follows_the_exact_one_to_the_accuracy() -> None:
    exact = coherent(
        alpha=(1.5, 1j), omega=(1, 0.7), grid=Grid.of((60, 54), box=(18.0, 20.0), frames=5, dt=1.3)
    )
    with closing(evolve(exact, "harmonic:omega=1x0.7", accuracy=1e-4)) as source:
        assert worst(read(source), np.asarray(exact.read(exact.grid.whole))) < 1e-4


def test_a_pulse_that_is_nothing_at_the_frames_moves_the_packet_as_newton_says() -> None:
    """Ehrenfest: under a force that is the same everywhere means move exactly as a particle does."""
    grid = Grid.of((160,), box=(60.0,), frames=2, dt=2.0)
    t = np.linspace(0, 2, 20001)
    force = np.array([-pulse(1.0, 0, 0, time) for time in t])
    speed = np.concatenate(([0], np.cumsum((force[1:] + force[:-1]) / 2 * t[1])))
    place = float(((speed[1:] + speed[:-1]) / 2 * t[1]).sum())
    with closing(evolve(gaussian(sigma=1.5, grid=grid), pulse)) as source:
        psi = read(source)
    assert place > 1
    assert position(psi, grid)[1, 0] == pytest.approx(place, abs=2e-3)
    assert momentum(psi, grid)[1, 0] == pytest.approx(speed[-1], abs=2e-3)


def late() -> Evolve:
    """A packet that meets a wall in its fourth frame, so that the steps become shorter there."""
    grid = Grid.of((96, 40), box=(16.0, 12.0), frames=7, dt=0.25)
    return evolve(gaussian(k=(4, 0), sigma=0.7, x0=-4, grid=grid), "barrier:height=9,width=1", accuracy=1e-4)


def frame(source: Evolve, number: int) -> Complex:
    return np.asarray(source.read(Box(start=(number, 0, 0, 0), stop=(number + 1, *source.grid.shape[1:]))))


def test_every_run_takes_the_same_steps_wherever_it_is_read_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(propagator, "BLOCK_POINTS", 512)  # several blocks to a frame
    with closing(late()) as source:
        kept = read(source)
        steps, notes = source.steps, source.notes()
    assert steps > math.ceil(0.25 / source.stable), "the steps were never changed"
    monkeypatch.setattr(evolution, "cores", lambda: 3)
    with closing(late()) as source:
        for number in (5, 2, 6, 0, 6):
            assert np.array_equal(frame(source, number)[0], kept[number])
        assert source.steps == steps
        assert source.notes()["error_estimate"] == notes["error_estimate"]


def test_steps_that_are_given_are_taken_and_their_error_is_told() -> None:
    grid = Grid.of((64,), box=(30.0,), frames=3, dt=5.0)
    start = gaussian(grid=grid)
    with closing(evolve(start, "coulomb:soft=0.3", steps=100)) as source:
        assert source.warnings() == []
        found = read(source)
        (told,) = source.remarks()
        assert source.steps == 100
        assert source.step == pytest.approx(5 / 100)
        estimate = source.notes()["error_estimate"]
    assert f"error of ψ is about {estimate:.2g}, more than accuracy=0.001" in told
    enough = int(told.partition("give steps=")[2].partition(" ")[0])
    with closing(evolve(start, "coulomb:soft=0.3", steps=enough)) as source:
        right = read(source)
        assert source.remarks() == []
    assert 1e-3 < worst(found, right) < estimate
    with closing(evolve(start, "coulomb:soft=0.3", steps=100, accuracy=0.05)) as source:
        read(source)
        assert source.remarks() == []


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_the_error_of_an_odd_number_of_steps_is_estimated_over_several_frames(steps: int) -> None:
    grid = Grid.of((50,), box=(16.0,), frames=9, dt=0.02 * steps)
    start = gaussian(k=1, grid=grid)
    with (
        closing(evolve(start, "harmonic", steps=steps)) as source,
        closing(evolve(start, "harmonic", steps=20 * steps)) as fine,
    ):
        error = worst(read(source), read(fine))
        assert error < source.notes()["error_estimate"] < 4 * error


def test_pulses_that_are_nothing_at_the_frames_have_fingerprints_of_their_own() -> None:
    def louder(x: Any, y: Any, z: Any, t: float) -> Any:
        return 2 * pulse(x, y, z, t)

    start = gaussian(grid=Grid.of((32,), box=(20.0,), frames=2, dt=2.0))
    digests: list[Callable[[], str]] = [
        evolve(start, potential)._potential_digest for potential in (pulse, louder)
    ]
    assert digests[0]() != digests[1]()


def test_steps_that_are_unstable_in_the_middle_of_a_run_are_warned_of_before_it() -> None:
    start = gaussian(grid=Grid.of((32,), box=(30.0,), frames=2, dt=2.0))
    (told,) = evolve(start, pulse, steps=8).warnings()
    assert "more than π" in told


def test_accuracies_that_cannot_be_had_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    start = gaussian(grid=Grid.of((16,), box=(10.0,), frames=3, dt=0.5))
    for accuracy in (0.0, -1.0, 0.2, 1e-11, math.nan):
        with pytest.raises(InvalidInput, match=r"must lie between 1e-10 and 0\.1"):
            evolve(start, accuracy=accuracy)
    chance = np.random.default_rng(4)
    monkeypatch.setattr(pace, "MAX_STEPS_PER_STABLE_STEP", 64)
    with (
        closing(evolve(start, lambda x, y, z, t: 3 * x * chance.normal())) as source,
        pytest.raises(InvalidInput, match=r"no time step is accurate to 0\.001 at t = "),
    ):
        read(source)


def qwf(server: Server, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [*arguments, "--url", server.url])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_the_command_line_says_which_steps_were_taken(server: Server) -> None:
    options = ["--grid", "64x1x1", "--box", "30", "--frames", "3", "--dt", "2"]
    text = "evolve:potential=coulomb,soft=0.3"
    status, out, err = qwf(server, "ingest", text, *options, "--dry-run")
    assert (status, err) == (0, "")
    assert (
        "at least 15 from frame to frame, of 0.1333 ħ/Eh; more where ψ needs them for an error of 0.001"
        in out
    )
    status, out, err = qwf(server, "ingest", text, *options, "--json", "--quiet")
    facts = json.loads(out)["source_facts"]
    assert facts["steps"] > 100
    assert facts["time_step"] == pytest.approx(2 / facts["steps"])
    assert 1e-4 < facts["error_estimate"] < 1e-3
    status, out, err = qwf(server, "ingest", f"{text},steps=40", *options, "--name", "coarse")
    assert status == 0
    assert "with steps=40 the error of ψ is about" in err
