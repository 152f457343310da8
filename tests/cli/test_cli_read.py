"""`qwf get`, `slice` and `export` as a user runs them: their output and files, also when they are stopped."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from qwf_async.layout import LAYOUTS
from tests.conftest import PATIENCE, Server, new_server
from tests.support.command import Outcome, Shell
from tests.support.loads import ask, wave
from tests.support.relay import relaying

PSI = wave(2, 30, 20, 10)
FILES = {"psi.npy", "points.txt", "bad.txt", "none.txt", "long.txt", "five.txt"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shell, Server]]:
    """A shell where QWF_URL names a server that has PSI in every layout, and as complex64 in c8."""
    directory = tmp_path_factory.mktemp("stored")
    np.save(directory / "psi.npy", PSI)
    (directory / "points.txt").write_text("1 2 3 1\n\n29,19,9,0\n4 5\n1 2 3 1\n")
    (directory / "bad.txt").write_text("1 2 3 1\n1 2 three\n")
    (directory / "none.txt").write_text("\n")
    (directory / "long.txt").write_text("1 2 3 1\n" + "1" * 1_000_000)
    (directory / "five.txt").write_text("1 2 3 1 5\n")
    for server in new_server("valkey", maxmemory="1gb"):
        shell = Shell.at(directory, QWF_URL=server.url)
        options = [["--name", layout, "--layout", layout] for layout in LAYOUTS]
        options.append(["--name", "c8", "--layout", "tile", "--codec", "c8"])
        outcomes = shell.several([(["ingest", "psi.npy", *more], {}) for more in options])
        assert [outcome.status for outcome in outcomes] == [0] * 4
        yield shell, server


@pytest.fixture
def shell(stored: tuple[Shell, Server]) -> Iterator[Shell]:
    """The shell; after the test its directory must hold the same files as before."""
    yield stored[0]
    for path in stored[0].directory.iterdir():
        if path.name not in FILES:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def left(shell: Shell) -> set[str]:
    return {path.name for path in shell.directory.iterdir()} - FILES


def fed(shell: Shell, text: str, *arguments: str) -> Outcome:
    """`qwf ARGUMENTS` with a text on standard input."""
    command = [sys.executable, "-m", "qwf_async", *arguments]
    done = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        cwd=shell.directory,
        env=dict(shell.environment),
        check=False,
    )
    return Outcome(status=done.returncode, out=done.stdout, err=done.stderr)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_get_reads_points_of_a_file_in_its_order(shell: Shell, layout: str) -> None:
    outcome = shell.qwf("get", layout, "--points", "points.txt", "--json")
    assert (outcome.status, outcome.err) == (0, "")
    points = json.loads(outcome.out)
    wanted = [(1, 2, 3, 1), (29, 19, 9, 0), (4, 5, 0, 0), (1, 2, 3, 1)]
    assert [(p["x"], p["y"], p["z"], p["t"]) for p in points] == wanted
    for point, (x, y, z, t) in zip(points, wanted, strict=True):
        value = complex(PSI[t, x, y, z])
        assert complex(point["re"], point["im"]) == value
        assert point["modulus"] == pytest.approx(abs(value), rel=1e-15)
        assert point["density"] == pytest.approx(abs(value) ** 2, rel=1e-15)
        assert point["phase"] == pytest.approx(np.angle(value), rel=1e-15)


def test_get_reads_points_of_standard_input(shell: Shell) -> None:
    outcome = fed(shell, "1 2 3 1\n4 5\n", "get", "flat", "--points", "-", "--quiet")
    values = [complex(PSI[1, 1, 2, 3]), complex(PSI[0, 4, 5, 0])]
    assert outcome.out == "".join(f"{value.real!r},{value.imag!r}\n" for value in values)
    shown = fed(shell, "1 2 3 1\n", "get", "flat", "--points", "-")
    assert shown.out.startswith(f"1 2 3 1  {values[0].real!r} {values[0].imag:+}i  |ψ| ")


REFUSED: list[tuple[tuple[str, ...], int, str]] = [
    (("get", "flat"), 2, "--points"),
    (("get", "flat", "1", "--points", "points.txt"), 2, "--points"),
    (("get", "flat", "--points", "bad.txt"), 7, "bad.txt, line 2: '1 2 three' is not x y z t"),
    (("get", "flat", "--points", "none.txt"), 7, "holds no points"),
    (("get", "flat", "--points", "absent.txt"), 7, "cannot read points from absent.txt"),
    (("get", "flat", "30"), 7, "x = 30 is outside"),
    (("slice", "flat", "0,30"), 7, "x = 30 is outside"),
    (("slice", "flat", "0,0,0,0,0"), 7, "too many indices"),
    (("slice", "flat", "a"), 2, "'a' in 'a' is no index"),
    (("slice", "flat", "1:2:3:4"), 2, "no index"),
    (("slice", "flat", "0,,1"), 2, "'' in '0,,1' is no index"),
    (("slice", "flat", "..."), 2, "12,000 points are more than are printed (10,000): give -o FILE.npy"),
    (("slice", "absent", "0"), 7, "no wavefunction 'absent'"),
    (("slice", "flat", "0", "-o", "absent/out.npy"), 7, "cannot write absent/out.npy: No such file"),
    (("export", "absent", "out.npy"), 7, "no wavefunction 'absent'"),
    (("get", "flat", "--points", "long.txt"), 7, "long.txt, line 2: '" + "1" * 60 + "'… is not x y z t"),
    (("get", "flat", "--points", "five.txt"), 7, "five.txt, line 1: '1 2 3 1 5' is not x y z t"),
    (("export", "flat", "psi.npy"), 7, "psi.npy is there already: --overwrite replaces it"),
    (("slice", "flat", "0", "-o", "psi.npy"), 7, "psi.npy is there already: --overwrite replaces it"),
    (("slice", "flat", "0", "-o", "/dev/full", "--overwrite"), 7, "/dev/full is no regular file"),
    (("export", "flat", ".", "--overwrite"), 2, ". has no suffix that says its format"),
]


def test_what_cannot_be_read_is_refused_and_nothing_is_written(shell: Shell) -> None:
    outcomes = shell.several([(arguments, {}) for arguments, _, _ in REFUSED])
    for (arguments, status, words), outcome in zip(REFUSED, outcomes, strict=True):
        assert (outcome.status, outcome.out) == (status, ""), arguments
        assert words in " ".join(outcome.err.replace("│", " ").split()), arguments
    assert not left(shell)


SLICES = {
    "1,10:20,:,5": np.s_[1, 10:20, :, 5],
    "...,-1": np.s_[..., -1],
    "0, ::-3, 1:-1:4": np.s_[0, ::-3, 1:-1:4],
    "1,2,3,4": np.s_[1, 2, 3, 4],
    "0:0": np.s_[0:0],
}


@pytest.mark.parametrize("name", [*LAYOUTS, "c8"])
def test_slice_writes_what_numpy_selects(shell: Shell, name: str) -> None:
    files = [f"out{number}.npy" for number in range(len(SLICES))]
    outcomes = shell.several(
        [(("slice", name, text, "-o", file, "--json"), {}) for text, file in zip(SLICES, files, strict=True)]
    )
    for index, file, outcome in zip(SLICES.values(), files, outcomes, strict=True):
        assert (outcome.status, outcome.err) == (0, "")
        facts = json.loads(outcome.out)
        wanted = np.asarray(PSI.astype("c8" if name == "c8" else "c16")[index])  # type: ignore[call-overload] # any
        found = np.load(shell.directory / file)
        assert (facts["file"], tuple(facts["shape"]), facts["dtype"]) == (
            file,
            wanted.shape,
            found.dtype.name,
        )
        assert found.dtype == wanted.dtype
        assert np.array_equal(found, wanted)
    assert left(shell) == set(files)


def test_slice_prints_small_parts(shell: Shell) -> None:
    outcome = shell.qwf("slice", "packed", "--", "-1,4,::7,2")
    values = PSI[-1, 4, ::7, 2].tolist()
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == "".join(f"{value.real!r},{value.imag!r}\n" for value in values)
    found = json.loads(shell.qwf("slice", "packed", "0,:2,4,::9", "--json").out)
    assert found["shape"] == [2, 2]
    assert found["re"] == PSI[0, :2, 4, ::9].real.reshape(-1).tolist()
    assert found["im"] == PSI[0, :2, 4, ::9].imag.reshape(-1).tolist()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_export_writes_the_whole_and_replaces_only_if_asked(shell: Shell, layout: str) -> None:
    outcome, again = shell.each(["export", layout, "out.npy"], ["export", layout, "out.npy"])
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.lines[-1].startswith("wrote out.npy: 12,000 points (2×30×20×10, complex128)")
    assert np.array_equal(np.load(shell.directory / "out.npy"), PSI)
    assert again.status == 7
    (shell.directory / "out.npy").write_text("something")
    (shell.directory / "other.npy").write_text("something")
    for outcome in shell.each(
        ["export", layout, "out.npy", "--overwrite", "--quiet"],
        ["slice", layout, "1", "-o", "other.npy", "--overwrite", "--quiet"],
    ):
        assert outcome.err == ""
    assert np.array_equal(np.load(shell.directory / "out.npy"), PSI)
    assert np.array_equal(np.load(shell.directory / "other.npy"), PSI[1])
    assert left(shell) == {"out.npy", "other.npy"}


@pytest.mark.parametrize("leads_to", ["precious", "nowhere", "folder"])
@pytest.mark.parametrize(
    "command",
    [("export", "tile", "out.npy"), ("export", "tile", "out.zarr"), ("slice", "tile", "0", "-o", "out.npy")],
)
def test_a_link_is_never_written_through(shell: Shell, command: tuple[str, ...], leads_to: str) -> None:
    link = shell.directory / command[-1]
    (shell.directory / "precious").write_text("something")
    (shell.directory / "folder").mkdir()
    link.symlink_to(leads_to)
    refused = shell.qwf(*command)
    assert (refused.status, link.is_symlink()) == (7, True)
    assert refused.lines == [f"qwf: {command[-1]} is there already: --overwrite replaces it (exit 7)"]
    assert shell.qwf(*command, "--overwrite", "--quiet").status == 0
    assert not link.is_symlink()
    assert (shell.directory / "precious").read_text() == "something"
    assert list((shell.directory / "folder").iterdir()) == []
    assert not (shell.directory / "nowhere").exists()
    (shell.directory / "folder").rmdir()
    assert left(shell) == {command[-1], "precious"}


def test_export_of_damaged_data_keeps_the_file_that_was_there(tmp_path: Path, server: Server) -> None:
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    np.save(tmp_path / "psi.npy", PSI)
    assert shell.qwf("ingest", "psi.npy", "--layout", "packed").status == 0
    generation = ask(server, "HGET", "qwf:{psi}:meta", "generation").decode()
    ask(server, "DEL", f"qwf:psi:{{{generation}.0}}:b5")
    outcome = shell.qwf("export", "psi", "psi.npy", "--overwrite")
    assert outcome.status == 5
    assert f"qwf:psi:{{{generation}.0}}:b5 lacks the field 0" in outcome.err
    assert np.array_equal(np.load(tmp_path / "psi.npy"), PSI)
    assert {path.name for path in tmp_path.iterdir()} == {"psi.npy"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_export_that_is_stopped_leaves_nothing_behind(tmp_path: Path, server: Server, number: int) -> None:
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    assert shell.qwf("ingest", "gaussian", "--grid", "64", "--layout", "tile").status == 0
    with relaying(server) as relay, shell.begin("export", "gaussian", "out.npy", "-u", relay.url) as begun:
        relay.slice(1)  # to carry 4 MB so takes a minute
        end = time.monotonic() + PATIENCE
        while not list(tmp_path.glob(".out.npy.*")):
            assert time.monotonic() < end
            time.sleep(0.001)
        begun.signal(number)
        outcome = begun.end()
    assert outcome.status == 128 + number
    assert "out.npy was not written" in outcome.err
    assert not list(tmp_path.glob("*.npy*")) + list(tmp_path.glob(".out*"))


def test_a_foreign_key_in_the_place_of_one_name_does_not_hide_the_others(
    tmp_path: Path, server: Server
) -> None:
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    np.save(tmp_path / "psi.npy", PSI)
    for ended in shell.each(*(["ingest", "psi.npy", "--name", name] for name in ("one", "two"))):
        assert ended.status == 0
    ask(server, "DEL", "qwf:{one}:meta")
    ask(server, "SET", "qwf:{one}:meta", "something else")
    outcome = shell.qwf("ls", "--json")
    one, two = json.loads(outcome.out)
    assert (one["name"], one["points"], two["name"], two["points"]) == ("one", None, "two", PSI.size)
    assert "reading qwf:{one}:meta" in one["note"]
    assert "another type is in the way" in one["note"]
