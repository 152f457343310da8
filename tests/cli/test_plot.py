"""`qwf plot` as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence

import imageio_ffmpeg
import numpy as np
import pytest

from tests.conftest import PATIENCE, new_server
from tests.support.command import Outcome, Shell
from tests.support.loads import wave


@pytest.fixture(scope="module")
def plot_shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell with ffmpeg on its PATH, where QWF_URL names a server with wavefunctions of 1, 2 and 3 dimensions."""
    tools, data = tmp_path_factory.mktemp("tools"), tmp_path_factory.mktemp("data") / "bare.npy"
    (tools / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    np.save(data, wave(6, 5, 4))
    packet = "gaussian:k=2,sigma=1,x0=-5"
    for server in new_server("valkey", maxmemory="1gb"):
        directory = tmp_path_factory.mktemp("plots")
        shell = Shell.at(directory, QWF_URL=server.url, PATH=f"{tools}:{os.environ['PATH']}")
        ingests = (
            ("orbital", "hydrogen:n=2,l=1,m=1", "--grid", "16", "--layout", "tile"),
            ("packet", packet, "--grid", "64x1", "--box", "30", "--frames", "12", "--dt", "0.2"),
            ("plane", packet, "--grid", "48x48", "--box", "30", "--frames", "60", "--dt", "0.05"),
            ("bare", str(data)),
        )
        for outcome in shell.several(
            [(["ingest", *arguments, "--name", name], {}) for name, *arguments in ingests]
        ):
            assert outcome.status == 0, outcome.err
        yield shell


@pytest.fixture
def shell(plot_shell: Shell) -> Iterator[Shell]:
    """The shell; after the test its directory is empty again."""
    yield plot_shell
    for name in files(plot_shell):
        (plot_shell.directory / name).unlink()


def files(shell: Shell) -> set[str]:
    return {path.name for path in shell.directory.iterdir() if path.is_file()}


IN_ONE_PROCESS = """
import contextlib, io, json, sys
from qwf_async.cli.app import app
from qwf_async.errors import QwfError
for arguments in json.loads(sys.argv[1]):
    status, message = 0, ""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            app(["plot", *arguments], standalone_mode=False)
        except QwfError as error:
            status, message = error.exit_code, str(error)
    print(json.dumps([status, message, out.getvalue()]))
"""
"""One process runs all commands, because starting one for each takes longer than the tests."""


def plotted(shell: Shell, *commands: Sequence[str]) -> list[tuple[int, str, str]]:
    """`qwf plot` with each of these arguments in turn: exit code, message of the error, standard output."""
    with shell.start([sys.executable, "-c", IN_ONE_PROCESS, json.dumps(commands)]) as begun:
        outcome = begun.end()
    assert (outcome.status, outcome.err) == (0, "")
    return [(status, message, out) for status, message, out in map(json.loads, outcome.out.splitlines())]


def test_files_are_written_and_not_replaced_unasked(shell: Shell) -> None:
    wanted = {
        "plane.png": ("orbital", "--slice", "z=8"),
        "path.svg": ("packet", "--what", "expectations"),
        "lines.png": ("orbital", "--what", "marginals"),
        "arrows.png": ("plane", "--what", "current", "--frame", "-1"),
        "energies.svg": ("packet", "--what", "spectrum", "-q"),
        "waves.png": ("orbital", "--what", "momentum", "--axis", "x"),
        "packet.gif": ("packet",),
    }
    begins = {"png": b"\x89PNG", "svg": b"<?xml", "gif": b"GIF89a"}
    commands = [(*arguments, "-o", name, "--json") for name, arguments in wanted.items()]
    for name, (status, _, out) in zip(wanted, plotted(shell, *commands), strict=True):
        written = (shell.directory / name).read_bytes()
        told = json.loads(out)
        assert (status, told["file"], told["bytes"]) == (0, name, len(written))
        assert written.startswith(begins[name[-3:]])
    assert files(shell) == set(wanted)
    again = shell.qwf("plot", "orbital", "-o", "plane.png")
    assert again.status == 7
    assert "plane.png is there already: --overwrite replaces it" in again.err
    replaced = shell.qwf("plot", "bare", "--frame", "0", "-o", "plane.png", "--overwrite")
    assert replaced.status == 0
    assert replaced.lines == [
        "the spacing along x, y, z is not known: lengths there are in grid steps",
        "wrote plane.png",
    ]
    assert files(shell) == set(wanted)


def test_mp4_is_written_where_ffmpeg_is(shell: Shell) -> None:
    outcome = shell.qwf("plot", "plane", "--what", "animation", "-o", "plane.mp4", "-q")
    assert (outcome.status, outcome.err) == (0, "")
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(shell.directory / "plane.mp4"))
    assert (frames, seconds) == (60, pytest.approx(3))
    without = shell.having(PATH="/nowhere").qwf("plot", "plane", "-o", "other.mp4")
    assert without.status == 2
    text = "qwf: an MP4 needs ffmpeg, which is not on the PATH: install it, or write a .gif (exit 2)"
    assert without.lines == [text]


REFUSED = [
    (("nothing", "-o", "a.png"), 7, "there is no wavefunction 'nothing'"),
    (("packet", "--frame", "12", "-o", "a.png"), 7, "frame 12 is outside the grid: frames run from 0 to 11"),
    (("packet", "--frame", "-13"), 7, "frame -13 is outside the grid"),
    (("packet", "--at", "x=1,t=0", "--frame", "1"), 2, "t= of --at names one frame"),
    (("orbital", "--at", "z=1", "--slice", "z=1"), 2, "--at at a coordinate: give one of them"),
    (("orbital", "--at", "z=99"), 7, "z = 99 is outside the grid: z runs from"),
    (("packet", "--at", "t=0", "--all"), 2, "t= of --at names one frame"),
    (("orbital", "--slice", "z=16"), 7, "z = 16 is outside the grid: z runs from 0 to 15"),
    (("packet", "--slice", "z=0"), 7, "there is no axis z to cut"),
    (("packet", "--axis", "x"), 7, "nothing is left to draw when all axes are cut"),
    (("orbital", "-o", "a.gif"), 7, "orbital has one frame, which is no animation"),
    (("packet", "-o", "a.jpg"), 2, "a.jpg is written as its suffix says: .png, .svg, .gif, .mp4"),
    (("packet", "-o", "no/a.png"), 7, "cannot write no/a.png: No such file or directory"),
    (("packet", "-o", "."), 2, "is written as its suffix says"),
    (("packet", "--what", "flow"), 2, "--what 'flow' is none of density, phase, current, marginals"),
    (("packet", "--what", "spectrum", "--frame", "1"), 2, "--frame names one frame"),
    (("packet", "--what", "current", "--all"), 2, "--what current shows one frame"),
    (("orbital", "--what", "momentum", "--slice", "z=1"), 2, "--axis says over which axis is integrated"),
    (("packet", "--what", "momentum", "--axis", "x"), 7, "packet has no momentum along x to integrate over"),
    (("bare", "--what", "spectrum"), 7, "the time step of bare is not known"),
    (("packet", "--what", "animation"), 2, "an animation is written to a file"),
    (("packet", "--what", "marginals", "-o", "a.gif"), 2, "--what marginals is no animation"),
    (("plane", "--all"), 2, "a plane at all frames is an animation"),
    (("packet", "--all", "--frame", "2"), 2, "--frame names one frame"),
    (("orbital", "--slice", "w=3"), 2, "--slice 'w=3' cannot be read: write z=64"),
    (("orbital", "--slice", "z=3", "--axis", "x"), 2, "give one of them"),
    (("orbital", "--what", "expectations", "--axis", "x"), 2, "there is no --slice or --axis"),
    (("orbital", "--json"), 2, "--json tells of the file that was written"),
]


def test_what_cannot_be_drawn_is_refused_in_one_line_and_leaves_no_file(shell: Shell) -> None:
    told = plotted(shell, *(arguments for arguments, _, _ in REFUSED))
    for (arguments, status, text), (found, message, out) in zip(REFUSED, told, strict=True):
        assert (found, out) == (status, ""), arguments
        assert text in message, arguments
        assert "\n" not in message
    assert files(shell) == set()


def test_a_signal_leaves_no_half_film(shell: Shell) -> None:
    # So many frames that no machine has drawn them before the signal comes.
    long = (
        "--grid",
        "8x8",
        "--box",
        "30",
        "--frames",
        "1000",
        "--dt",
        "0.01",
        "--name",
        "long",
        "--overwrite",
    )
    assert shell.qwf("ingest", "gaussian:k=2,sigma=1", *long).status == 0
    with shell.begin("plot", "long", "-o", "film.gif") as begun:
        end = time.monotonic() + PATIENCE
        while not list(shell.directory.glob(".film.gif.*/film.gif")):
            assert begun.process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.005)
        begun.signal(signal.SIGTERM)
        outcome = begun.end()
    assert outcome.status == 143
    assert outcome.lines[-1] == "qwf: stopped by SIGTERM; film.gif was not written (exit 143)"
    assert files(shell) == set()


def test_a_terminal_shows_colours_or_characters(shell: Shell) -> None:
    coloured = shell.having(COLORTERM="truecolor")
    status, shown = coloured.on_terminal("plot", "orbital", "--slice", "z=8")
    assert status == 0
    assert "\x1b[38;2;" in shown
    assert shown.count("▀") > 1000
    assert "x (bohr): " in shown
    assert "z = 0 bohr" in shown
    status, plain = coloured.having(NO_COLOR="1").on_terminal("plot", "orbital", "--slice", "z=8")
    assert status == 0
    assert "\x1b[38" not in plain
    assert "▀" not in plain
    assert "@" in plain
    curves = plotted(
        shell, ("packet", "--what", "expectations"), ("packet", "--what", "marginals"), ("packet", "--all")
    )
    assert [status for status, _, _ in curves] == [0, 0, 0]
    for text, (_, _, out) in zip(("⟨x⟩ ± σ", "ρ(x)", "t (ħ/Eh): "), curves, strict=True):
        assert text in out


def test_without_matplotlib_files_say_what_to_install_and_the_terminal_goes_on(shell: Shell) -> None:
    def without(*arguments: str) -> Outcome:
        script = "import sys; sys.modules['matplotlib'] = None; from qwf_async.cli import main; main()"
        with shell.start([sys.executable, "-c", script, "plot", *arguments]) as begun:
            return begun.end()

    refused = without("packet", "-o", "a.png")
    assert refused.status == 2
    cure = "which is not installed: pip install 'qwf_async[plot]'"
    assert refused.lines == [f"qwf: a picture in a file needs matplotlib, {cure} (exit 2)"]
    shown = without("packet")
    assert (shown.status, shown.err) == (0, "")
    assert "x (bohr)" in shown.out
