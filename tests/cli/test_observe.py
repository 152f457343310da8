"""`qwf observe` as a user runs it: tables that fit, units, what passes a plane, momenta and spectra."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import anyio
import pytest

import qwf_async
from qwf_async import observables, sources
from qwf_async.cli.observed_table import texts
from qwf_async.lattice.grid import Grid
from qwf_async.lattice.unit_system import HARTREE_EV
from qwf_async.lattice.units import ANGSTROM, TIME_SECONDS
from qwf_async.observables.observed_columns import columns_of, without_noise
from tests.conftest import new_server
from tests.support.command import Shell

BOHR_IN_NM = 0.1 / ANGSTROM
ATOMIC_TIME_IN_FS = TIME_SECONDS * 1e15


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """QWF_URL names a server with packets of 1 and 3 dimensions, in nm, and without spacings, and a superposition."""
    for server in new_server("valkey"):
        shell = Shell.at(tmp_path_factory.mktemp("observe"), QWF_URL=server.url)
        packet = "gaussian:k=2,sigma=1,x0=-5"
        ingests = (
            ("packet", packet, "--grid", "256x1", "--box", "60", "--frames", "12", "--dt", "0.5"),
            ("cube", packet, "--grid", "16", "--box", "16", "--frames", "2", "--dt", "0.1"),
            ("two", "harmonic:n=0+1", "--grid", "64x1", "--frames", "40", "--dt", "0.4"),
        )
        for outcome in shell.each(*(["ingest", *words, "--name", name] for name, *words in ingests)):
            assert outcome.status == 0, outcome.err
        anyio.run(_more, server.url)
        yield shell


async def _more(url: str) -> None:
    """The packet with axes in nm and fs, and without spacings."""
    source = sources.gaussian(k=2, sigma=1, grid=Grid.of((64,), box=(20.0,), frames=2, dt=0.5))
    psi = source.read(source.grid.whole)
    t, x, y, z = source.grid.axes
    in_nm = replace(x, origin=x.origin * BOHR_IN_NM, step=(x.step or 0) * BOHR_IN_NM, unit="nm")
    in_fs = replace(t, step=(t.step or 0) * ATOMIC_TIME_IN_FS, unit="fs")
    async with qwf_async.connect(url) as store:
        grid = replace(source.grid, axes=(in_fs, in_nm, y, z))
        await qwf_async.ingest(sources.array(psi, grid), store, "metric")
        await qwf_async.ingest(sources.array(psi), store, "bare")


def told(shell: Shell, *arguments: str) -> Any:
    outcome = shell.qwf("observe", *arguments, "--json", "--quiet")
    assert (outcome.status, outcome.err) == (0, "")
    return json.loads(outcome.out)


@pytest.mark.parametrize(
    ("name", "options"), [("packet", ("--potential", "harmonic:omega=1", "--autocorrelation")), ("cube", ())]
)
def test_a_table_fits_80_columns_whatever_is_in_it(shell: Shell, name: str, options: tuple[str, ...]) -> None:
    outcome = shell.qwf("observe", name, *options)
    assert outcome.status == 0, outcome.err
    lines = outcome.out.splitlines()
    assert max(map(len, lines)) <= 80
    blocks = outcome.out.split("\n\n")
    assert all(block.split()[0] == "frame" for block in blocks)  # each begins with frame and time
    row = told(shell, name, *options)["rows"][0]
    words = sum(len(block.splitlines()[-1].split()) - 2 for block in blocks) + 2
    assert words == len(row)
    wide = shell.having(COLUMNS="400").qwf("observe", name, *options).out
    assert "\n\n" not in wide
    one = shell.qwf("observe", name, "--frame", "1", *options).out.splitlines()
    assert (one[0].split(), len(one)) == (["frame", "1"], len(row))


def test_heads_have_units_and_what_is_rounding_beside_other_numbers_is_0(shell: Shell) -> None:
    heads, units, first, *_ = shell.qwf("observe", "two").out.splitlines()
    assert heads.split() == ["frame", "time", "norm", "⟨x⟩", "σx", "⟨px⟩", "σpx", "σx·σpx", "⟨T⟩"]
    assert units.split() == ["ħ/Eh", "bohr", "bohr", "ħ/bohr", "ħ/bohr", "ħ", "Eh"]
    assert first.split()[:3] == ["0", "0.0", "1"]
    table = list(csv.DictReader(io.StringIO(shell.qwf("observe", "two", "--csv", "--quiet").out)))
    assert [{key: float(value) for key, value in row.items()} for row in table] == told(shell, "two")["rows"]
    names = ("x", "sigma_x", "p_x", "flux", "norm")
    rows = [
        {"x": 3e-17, "sigma_x": 1.0, "p_x": 1e-30, "flux": -1e-14, "norm": 1.0},
        {"x": 2e-12, "sigma_x": 2.0, "p_x": 2e-30, "flux": float("nan"), "norm": 1.0},
    ]
    shown = without_noise(rows, columns_of(names), 1e-12)
    assert shown[0] == {"x": 0.0, "sigma_x": 1.0, "p_x": 1e-30, "flux": 0.0, "norm": 1.0}
    assert shown[1]["x"] == 2e-12


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([1.0, 1.00000001], ["1", "1"]),
        ([0.0, 0.1, 0.25], ["0.00", "0.10", "0.25"]),
        ([-1e-9, 12.3456789], ["0.0000", "12.3457"]),
        ([1.5e-7, -2e-9], ["1.5e-07", "-2e-09"]),
        ([1234567.0], ["1.2346e+06"]),
        ([100.0, 20.0], ["100", "20"]),
        ([None, 0.5, float("nan"), float("inf")], ["-", "0.5", "nan", "inf"]),
        ([0.0, -0.0], ["0", "0"]),
        ([3, 12], ["3", "12"]),
    ],
)
def test_numbers_of_a_column_have_as_many_decimals_as_say_something(
    values: list[float | None], shown: list[str]
) -> None:
    assert texts(values) == shown


def test_units_are_those_of_the_axes_for_people_and_atomic_for_programs_unless_asked_for(
    shell: Shell,
) -> None:
    atomic = told(shell, "metric")
    assert (atomic["units"], atomic["units_of"]["x"], atomic["units_of"]["kinetic"]) == (
        "hartree",
        "bohr",
        "Eh",
    )
    other = told(shell, "metric", "--units", "eV/nm/fs", "--potential", "harmonic")
    assert (other["units"], other["units_of"]["p_x"], other["units_of"]["time"]) == ("eV/nm/fs", "ħ/nm", "fs")
    for row, same in zip(atomic["rows"], other["rows"], strict=True):
        assert row["frame"] == same["frame"]
        for key, unit in {
            "time": ATOMIC_TIME_IN_FS,
            "x": BOHR_IN_NM,
            "sigma_x": BOHR_IN_NM,
            "p_x": 1 / BOHR_IN_NM,
            "sigma_x_sigma_p_x": 1,
            "kinetic": HARTREE_EV,
        }.items():
            assert same[key] == pytest.approx(row[key] * unit, abs=1e-12)
    trap = told(shell, "metric", "--potential", "harmonic:omega=0.5", "--g", "2", "--frame", "-1")
    given = ("harmonic:omega=20.6706867", "--g", str(2 * HARTREE_EV * BOHR_IN_NM), "--units", "eV/nm/fs")
    same = told(shell, "metric", "--frame", "-1", "--potential", *given)
    assert same["rows"][0]["energy"] == pytest.approx(trap["rows"][0]["energy"] * HARTREE_EV, rel=1e-7)
    assert trap["rows"][0]["frame"] == 1
    for options, units in (((), ["fs", "nm", "nm", "ħ/nm"]), (("--units", "hartree"), ["ħ/Eh", "bohr"])):
        line = shell.qwf("observe", "metric", *options).out.splitlines()[1].split()
        assert line[: len(units)] == units
    bare = told(shell, "bare", "--units", "eV/nm/fs")
    assert (bare["units_of"]["x"], bare["units_of"]["p_x"], bare["axes_in_grid_steps"]) == (
        "steps",
        "ħ/step",
        ["x"],
    )
    assert bare["rows"][0]["x"] == told(shell, "bare")["rows"][0]["x"]


def test_what_passes_a_plane_and_what_is_in_a_region(shell: Shell) -> None:
    found = told(shell, "packet", "--at", "x=0", "--current", "--region", "x=-5:0.5")
    assert found["units_of"]["flux"] == "Eh/ħ"
    rows = found["rows"]
    assert (rows[0]["left"], rows[0]["right"]) == pytest.approx((1, 0), abs=1e-5)
    assert (rows[-1]["left"], rows[-1]["right"]) == pytest.approx((0.0202, 0.9798), abs=1e-3)
    gained = sum(row["flux"] for row in rows) - (rows[0]["flux"] + rows[-1]["flux"]) / 2
    assert 0.5 * gained == pytest.approx(rows[-1]["right"], abs=2e-3)  # the flux in time is what went over
    assert all(row["left"] + row["right"] == pytest.approx(row["norm"]) for row in rows)
    assert rows[0]["within"] == pytest.approx(0.5, abs=0.06)
    heads, units, *_ = shell.qwf("observe", "packet", "--at", "x=0", "--current").out.splitlines()
    assert "x < 0" in heads
    assert units.split() == ["ħ/Eh", "Eh/ħ"]
    metric = told(shell, "metric", "--at", "x=0.02", "--units", "eV/nm/fs", "--current")
    same = told(shell, "metric", "--at", "x=0.02", "--current")
    assert metric["units_of"]["flux"] == "1/fs"
    assert metric["rows"][1]["flux"] == pytest.approx(same["rows"][1]["flux"] / ATOMIC_TIME_IN_FS)
    source = sources.gaussian(k=2, sigma=1, grid=Grid.of((64,), box=(20.0,), frames=2, dt=0.5))
    wanted = observables.flux(source.read(source.grid.whole), source.grid, 1, 0.02 / BOHR_IN_NM)
    assert same["rows"][1]["flux"] == pytest.approx(wanted[1])


def test_the_density_of_the_momentum_is_printed_along_an_axis(shell: Shell) -> None:
    found = told(shell, "packet", "--momentum", "--frame", "3")
    assert found["units_of"] == {"k_x": "ħ/bohr", "density": "bohr/ħ"}
    rows = found["rows"]
    assert len(rows) == 256
    step = rows[1]["k_x"] - rows[0]["k_x"]
    assert sum(row["density"] for row in rows) * step == pytest.approx(1)
    assert max(rows, key=lambda row: row["density"])["k_x"] == pytest.approx(2, abs=step)
    along = told(shell, "cube", "--momentum", "--marginal", "y", "--units", "eV/nm/fs")
    assert along["units_of"] == {"k_y": "ħ/nm", "density": "nm/ħ"}
    heads = shell.qwf("observe", "packet", "--momentum").out.splitlines()[:2]
    assert [line.split() for line in heads] == [["kx", "ρ(kx)"], ["ħ/bohr", "bohr/ħ"]]


def test_the_spectrum_lists_lines_and_gives_programs_the_curve(shell: Shell) -> None:
    lines = shell.qwf("observe", "two", "--spectrum").out.splitlines()
    assert lines[0] == "⟨ψ(0)|ψ(t)⟩ over 40 frames, Blackman-Harris window"
    assert lines[1] == "energies within ±7.854 Eh (π/dt), resolution 0.3927 Eh (2π/T)"
    assert [line.split() for line in lines[2:]] == [
        ["energy", "weight"],
        ["Eh"],
        ["0.5", "0.5"],
        ["1.5", "0.5"],
    ]
    found = told(shell, "two", "--spectrum", "--units", "eV/nm/fs")
    assert found["resolution"] == pytest.approx(0.3926991 * HARTREE_EV)
    assert [line["energy"] for line in found["lines"]] == pytest.approx([0.5 * HARTREE_EV, 1.5 * HARTREE_EV])
    rows = found["rows"]
    assert sum(row["density"] for row in rows) * (rows[1]["energy"] - rows[0]["energy"]) == pytest.approx(1)
    assert shell.qwf("observe", "two", "--spectrum", "--csv", "-q").out.startswith("energy,density\n")
    continuum = shell.qwf("observe", "packet", "--spectrum").out
    assert "of it: else a continuum, or lines closer than 1.4 resolutions" in continuum


REFUSED = [
    (("packet", "--spectrum", "--momentum"), 2, "--spectrum and --momentum print different things"),
    (("packet", "--at", "x=0", "--potential", "free"), 2, "does not go with --potential"),
    (("packet", "--spectrum", "--frame", "1"), 2, "--spectrum is of all frames"),
    (("packet", "--current"), 2, "say where it is by --at"),
    (("packet", "--at", "y=0"), 7, "there is no plane across y"),
    (("packet", "--at", "x=31"), 7, "x = 31 is outside the grid: x runs from -30 to 30 bohr"),
    (("packet", "--region", "x=3"), 2, "'x=3' is no region: write x=5:20,y=-2:2"),
    (("bare", "--at", "x=3"), 7, "along x is not known, and a plane needs it"),
    (("cube", "--momentum"), 2, "cube lies along xyz: --marginal says"),
    (("packet", "--momentum", "--marginal", "z"), 7, "lies along x only"),
    (("packet", "--units", "cgs"), 2, "'cgs' is none of hartree, eV/nm/fs"),
]


def test_what_cannot_be_observed_is_refused_in_one_line(shell: Shell) -> None:
    outcomes = shell.each(*(["observe", *words] for words, _, _ in REFUSED))
    for (words, status, text), outcome in zip(REFUSED, outcomes, strict=True):
        assert (outcome.status, outcome.out) == (status, ""), words
        assert text in outcome.lines[-1], words
