"""Observables of what is stored, and time evolution as it is being stored, on real servers."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import qwf_async
from qwf_async import observables, sources
from qwf_async.cli.app import app
from qwf_async.errors import InvalidInput
from qwf_async.events import Event, Noted, Progress
from qwf_async.ingesting.verification import verify
from qwf_async.lattice.grid import Axis, Grid
from qwf_async.source import open_source, read_potential
from qwf_async.source.evolve.potentials import potential_values
from qwf_async.store.observed import Observed
from qwf_async.store.observing import marginals, observe
from tests.conftest import Server

pytestmark = pytest.mark.anyio

GRID = Grid.of((14, 12, 10), box=(11.0, 10.0, 9.0), frames=3, dt=0.4)
STATE = sources.coherent(alpha=(1, 0.5j), grid=GRID)
PSI: NDArray[np.complex128] = STATE.read(GRID.whole)
TRAP = "harmonic:omega=1x1x1.5"
FORMS = [("flat", "c16"), ("packed", "c16"), ("tile", "c8")]


async def all_of(store: qwf_async.Store, name: str, **options: Any) -> list[Observed]:
    return [one async for one in observe(store, name, **options)]


@pytest.mark.parametrize(("layout", "codec"), FORMS)
@pytest.mark.usefixtures("small_chunks")
async def test_observables_of_what_is_stored_are_those_of_the_array(
    server: Server, layout: str, codec: str
) -> None:
    other = sources.harmonic((1, 0, 0), grid=Grid.of((14, 12, 10), box=(11.0, 10.0, 9.0)))
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(STATE, store, "psi", layout=layout, codec=codec)
        await qwf_async.ingest(other, store, "other")
        trap = read_potential(TRAP)
        options: dict[str, Any] = {"potential": trap, "other": "other", "autocorrelation": True}
        whole = await all_of(store, "psi", **options)
        sums = await all_of(store, "psi", sums_only=True, **options)
        (second,) = await all_of(store, "psi", frames=[1], **options)
        along = await marginals(store, "psi", 2)
    rel = 1e-5 if codec == "c8" else 1e-12
    moments, momenta = observables.moments(PSI, GRID), observables.momenta(PSI, GRID)
    v = potential_values(trap, GRID, 0.0)
    bra = np.asarray(other.read(other.grid.whole))
    for t, one in enumerate(whole):
        assert one.time == pytest.approx(0.4 * t)
        assert one.norm == pytest.approx(moments.norm[t], rel=rel)
        assert one.position == pytest.approx(moments.mean[t], rel=rel, abs=rel)
        assert one.position_sigma == pytest.approx(np.sqrt(moments.variance[t]), rel=rel)
        assert one.momentum == pytest.approx(momenta.mean[t], rel=rel, abs=rel)
        assert one.momentum_sigma == pytest.approx(np.sqrt(momenta.variance[t]), rel=rel)
        assert one.energy == pytest.approx(observables.energy(PSI, GRID, v)[t], rel=rel)
        assert one.overlap == pytest.approx(observables.overlap(bra, PSI, GRID)[t], rel=rel)
        assert one.fidelity == pytest.approx(observables.fidelity(bra, PSI, GRID)[t], rel=rel)
        assert one.autocorrelation == pytest.approx(observables.autocorrelation(PSI, GRID)[t], rel=rel)
    assert second == whole[1]
    for some, one in zip(sums, whole, strict=True):
        lacking = {"momentum": None, "momentum_sigma": None, "kinetic": None}
        assert asdict(some) == asdict(one) | lacking
    for axis, density in enumerate(along, start=1):
        assert density == pytest.approx(observables.marginal(PSI, GRID, axis)[2], rel=rel, abs=rel)


@pytest.mark.usefixtures("small_chunks")
async def test_sums_hold_chunks_and_never_a_frame(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    plain = observables.moments

    def seen(psi: NDArray[Any], *rest: Any) -> Any:
        sizes.append(psi.size)
        return plain(psi, *rest)

    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(STATE, store, "psi")
        monkeypatch.setattr("qwf_async.store.observing.moments", seen)
        await all_of(store, "psi", sums_only=True)
    assert sum(sizes) == GRID.points
    assert max(sizes) <= 1000 < GRID.frame_points


async def test_requests_that_make_no_sense_are_refused(server: Server) -> None:
    bare = np.ones((2, 4, 4, 4), np.complex128)
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(bare), store, "bare")
        await qwf_async.ingest(STATE, store, "psi")
        cases: list[tuple[str, dict[str, Any], str]] = [
            ("bare", {"frames": [2]}, "frames run from 0 to 1"),
            ("bare", {"other": "psi"}, "their points must be the same"),
            ("bare", {"potential": read_potential(TRAP)}, "spacing of axis x is not known"),
            ("psi", {"other": "none"}, "no wavefunction 'none'"),
        ]
        for name, options, message in cases:
            with pytest.raises(InvalidInput, match=message):
                await all_of(store, name, **options)
        (one, _) = await all_of(store, "bare")
        assert (one.time, one.norm, one.position) == (None, 64, (1.5, 1.5, 1.5))  # in grid steps
        moved = Axis(origin=1, step=11 / 14, unit="bohr")
        grid = Grid(shape=GRID.shape, axes=(GRID.axes[0], moved, *GRID.axes[2:]))
        await qwf_async.ingest(sources.array(PSI, grid), store, "moved")
        with pytest.raises(InvalidInput, match="different points along x"):
            await all_of(store, "psi", other="moved")


EVOLVE = "evolve:potential=barrier,height=2,k=2,x0=-6"


@pytest.mark.usefixtures("small_chunks")
async def test_an_evolution_is_stored_and_can_be_resumed_with_the_same_values(server: Server) -> None:
    def opened() -> sources.Source:
        return open_source(f"{EVOLVE},steps=2", grid="600x3x1", box="40x5", frames=12, dt=0.02)

    told: list[str] = []
    reference = opened()
    wanted = reference.read(reference.grid.whole)
    reference.close()
    async with qwf_async.connect(server.url) as store:
        first = opened()
        with anyio.CancelScope() as scope:

            def stop(event: Event) -> None:
                if isinstance(event, Progress) and event.points > wanted.size // 3:
                    scope.cancel()
                if isinstance(event, Noted) and event.warning:
                    told.append(event.text)

            await qwf_async.ingest(first, store, "run", hooks=[stop])
        first.close()
        assert scope.cancelled_caught
        second = opened()
        report = await qwf_async.ingest(second, store, "run", resume=True)
        assert report.resumed_chunks > 0
        assert report.source_facts == second.notes()  # type: ignore[attr-defined] # optional, see source.base
        assert report.source_facts["norm_drift"] < 1e-12
        assert np.array_equal(await (await store.open("run")).read[...], wanted)
        assert (await verify(store, "run", second)).differing == []  # from the beginning, once more
        second.close()
    (step,) = [text for text in told if "time step" in text]
    assert "up to 0.002825 ħ/Eh is stable: give steps=8" in step


async def test_a_potential_that_fails_under_way_leaves_nothing(server: Server) -> None:
    def fails(x: Any, y: Any, z: Any, t: float) -> Any:
        return x * np.nan if 0.3 < t < 0.5 else x * 0

    source = sources.evolve(sources.gaussian(grid=Grid.of((64,), box=(20.0,), frames=9, dt=0.1)), fails)
    async with qwf_async.connect(server.url) as store:
        with pytest.raises(InvalidInput, match="NaN or infinite"):
            await qwf_async.ingest(source, store, "psi")
    source.close()
    with server.plain as client:
        assert [key for key in client.scan_iter() if b"psi" in key] == []


def qwf(server: Server, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [*arguments, "--url", server.url])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_from_a_simulation_to_its_numbers_on_the_command_line(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = ["ingest", EVOLVE, "--grid", "256x1x1", "--box", "40", "--frames", "5", "--dt", "0.5"]
    status, out, _ = qwf(server, *run, "--name", "run", "--json", "--quiet")
    assert status == 0
    facts = json.loads(out)["source_facts"]
    assert facts["energy_first"] == pytest.approx(2.125, rel=1e-6)
    assert facts["norm_drift"] < 1e-12

    barrier = ["--potential", "barrier:height=2"]
    status, out, err = qwf(server, "observe", "run", *barrier, "--autocorrelation", "--json", "--quiet")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found["axes_in_grid_steps"] == []
    rows = found["rows"]
    assert [row["frame"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["time"] for row in rows] == [0, 0.5, 1, 1.5, 2]
    assert [row["x"] for row in rows[:2]] == pytest.approx([-6, -5], abs=1e-3)
    assert rows[0]["sigma_x_sigma_p_x"] == pytest.approx(0.5)
    assert [row["energy"] for row in rows] == pytest.approx([2.125] * 5, abs=1e-2)
    assert rows[0]["autocorrelation_re"] == pytest.approx(1)

    _, out, _ = qwf(server, "observe", "run", *barrier, "--autocorrelation", "--csv", "--quiet")
    table = list(csv.DictReader(io.StringIO(out)))
    assert [{key: float(value) for key, value in row.items()} for row in table] == rows
    _, out, _ = qwf(server, "observe", "run", "--frame", "2", "--with", "run")
    assert "σx·σpx" in out
    assert out.splitlines()[-1].split() == ["fidelity", "1"]  # with itself

    _, out, _ = qwf(server, "observe", "run", "--marginal", "x", "--frame", "1", "--json")
    density = json.loads(out)["rows"]
    assert len(density) == 256
    assert sum(row["density"] for row in density) * 40 / 256 == pytest.approx(1)


def test_a_dry_run_tells_what_would_be_and_unknown_spacings_are_told(server: Server, tmp_path: Path) -> None:
    run = ["ingest", f"{EVOLVE},steps=1", "--grid", "64x1x1", "--box", "16", "--frames", "2", "--dt", "1"]
    status, out, err = qwf(server, *run, "--dry-run")
    assert status == 0
    assert "evolve:potential=barrier,height=2,width=1,centre=0,initial=gaussian,k=2" in out
    assert "up to 0.03979 ħ/Eh is stable: give steps=26" in err
    with server.plain as client:
        assert client.dbsize() == 0
    np.save(tmp_path / "psi.npy", np.exp(1j * np.arange(12.0)))
    assert qwf(server, "ingest", str(tmp_path / "psi.npy"))[0] == 0
    status, out, err = qwf(server, "observe", "psi")
    assert status == 0
    assert "the spacing along x is not known" in err
    assert [line.split() for line in out.splitlines()[:4]] == [
        ["frame", "0"],
        ["time", "-"],
        ["norm", "12"],
        ["⟨x⟩", "5.5", "steps"],
    ]
