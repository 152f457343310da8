"""Pictures: what is read for them, what is drawn, and `qwf plot` as a user runs it."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import qwf_async as qwf
from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Grid
from qwf_async.layout import LAYOUTS
from qwf_async.plot import Picture, draw, plan_view, read_expectations, read_picture, write_animation
from qwf_async.plot.animation import drawn_frames
from qwf_async.plot.colours import density_table, phase_colours, phase_table
from qwf_async.plot.figure import new_figure
from qwf_async.plot.view_plan import MAX_FRAMES, MAX_LINE, MAX_SIDE
from tests.conftest import PATIENCE, Server, new_server
from tests.support.command import Outcome, Shell
from tests.support.loads import ask, wave


@pytest.fixture(scope="module", autouse=True)
def _fonts() -> None:
    """matplotlib keeps the files of its fonts open from the first text on."""
    figure = new_figure(1, wide=True)
    figure.suptitle("ψ")
    figure.savefig(io.BytesIO())


SIZES = st.tuples(*[st.integers(1, 2000)] * 3)


@given(sizes=SIZES, frames=st.integers(1, 3000), fixed=st.sets(st.integers(1, 3)), data=st.data())
def test_a_view_is_a_plane_or_a_line_of_no_more_points_than_pixels(
    sizes: tuple[int, int, int], frames: int, fixed: set[int], data: st.DataObject
) -> None:
    grid = Grid(shape=(frames, *sizes))
    cuts = {a: data.draw(st.integers(-sizes[a - 1], sizes[a - 1] - 1)) for a in fixed if a <= grid.dimensions}
    free = [a for a in (1, 2, 3) if sizes[a - 1] > 1 and a not in cuts]
    if not free and cuts:
        with pytest.raises(InvalidInput, match="nothing is left to draw"):
            plan_view(grid, frames=range(frames), fixed=cuts)
        return
    view = plan_view(grid, frames=range(frames), fixed=cuts)
    assert view.axes == tuple(free[:2] or [1])
    shape = view.selection.shape
    assert shape[0] <= MAX_FRAMES
    assert all(n <= (MAX_LINE if frames == 1 and len(view.axes) == 1 else MAX_SIDE) for n in shape[1:])
    for axis, n, step in zip(view.axes, shape[1:], view.steps, strict=True):
        assert n * step >= sizes[axis - 1]  # to the end of the axis
    for axis, index in cuts.items():
        assert list(view.selection.axes[axis]) == [index % sizes[axis - 1]]


@pytest.mark.anyio
@pytest.mark.parametrize("layout", LAYOUTS)
async def test_what_is_read_are_the_stored_values(server: Server, layout: str) -> None:
    psi = wave(5, 12, 9, 10)
    async with qwf.connect(server.url) as store:
        await qwf.ingest(qwf.sources.array(psi), store, "psi", layout=layout)
        stored = await store.open("psi")
        plane = await read_picture(stored, frames=range(3, 4), fixed={2: -2})
        np.testing.assert_array_equal(plane.psi, psi[3:4, :, 7])
        coarse = await read_picture(stored, frames=range(5), max_points=5)
        np.testing.assert_array_equal(coarse.psi, psi[:, ::3, ::2, 5].astype(np.complex64))
        line = await read_picture(stored, fixed={1: 2, 3: 9})
        np.testing.assert_array_equal(line.psi, psi[:1, 2, :, 9])
        assert line.peak == pytest.approx(np.max(np.abs(psi[0, 2, :, 9]) ** 2))


@pytest.mark.anyio
async def test_a_slice_of_a_tile_wavefunction_reads_two_percent_of_its_bytes(server: Server) -> None:
    """Along x as long as in 512³, where the layer of tiles that a slice lies in is 1/64 of all."""
    psi = wave(1, 512, 24, 24)
    async with qwf.connect(server.url) as store:
        await qwf.ingest(qwf.sources.array(psi), store, "psi", layout="tile")
        stored = await store.open("psi")

        def sent() -> int:
            return int(ask(server, "INFO", "stats")["total_net_output_bytes"])

        asking = -sent() + sent()
        before = sent()
        picture = await read_picture(stored, fixed={1: 300})
        read = sent() - before - asking
        np.testing.assert_array_equal(picture.psi, psi[:, 300])
        assert picture.psi.nbytes < read <= 0.02 * psi.nbytes


@pytest.mark.anyio
async def test_a_nodal_plane_is_not_what_is_shown_unless_it_is_asked_for(server: Server) -> None:
    async with qwf.connect(server.url) as store:
        await qwf.ingest(qwf.sources.hydrogen(3, 2, 1, grid=Grid.cube(16)), store, "h")
        stored = await store.open("h")
        assert (await read_picture(stored)).view.cut == (2,)
        blank = await read_picture(stored, fixed={3: 8})
        assert blank.view.cut == (3,)
        assert blank.peak < 1e-30
        await qwf.ingest(qwf.sources.array(np.zeros((4, 4, 4))), store, "zero")
        zero = await read_picture(await store.open("zero"))
        assert (zero.view.cut, zero.peak) == ((3,), 0.0)
        draw(zero)


@pytest.mark.anyio
async def test_expectations_are_those_of_the_packet(server: Server) -> None:
    grid = Grid.of((256,), box=(40.0,), frames=5, dt=0.5)
    async with qwf.connect(server.url) as store:
        await qwf.ingest(qwf.sources.gaussian(k=1.5, sigma=1.0, x0=-3.0, grid=grid), store, "packet")
        found = await read_expectations(await store.open("packet"))
    t = 0.5 * np.arange(5)
    np.testing.assert_allclose(found.times, t)
    np.testing.assert_allclose(found.mean[:, 0], -3 + 1.5 * t, atol=1e-9)
    np.testing.assert_allclose(found.sigma[:, 0], np.sqrt(1 + (t / 2) ** 2), rtol=1e-9)


def lab(rgb: NDArray[Any]) -> NDArray[np.float64]:
    """CIELAB of sRGB bytes [n, 3], by IEC 61966-2-1 and CIE 15: another road than Oklab."""
    u = rgb / 255
    linear = np.where(u <= 0.04045, u / 12.92, ((u + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    share = xyz / [0.9505, 1.0, 1.089]
    f = np.where(share > 216 / 24389, np.cbrt(share), (24389 / 27 * share + 16) / 116)
    return np.stack((116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])), axis=1)


def test_colours_are_perceptually_even() -> None:
    phases = lab(phase_table(64))
    steps = np.linalg.norm(np.roll(phases, -1, axis=0) - phases, axis=1)  # round the circle
    assert np.ptp(phases[:, 0]) < 10  # of 100: no phase stands out by its lightness
    assert steps.max() < 3 * steps.min()
    light = lab(density_table(64))[:, 0]
    assert light[0] < 5
    assert light[-1] > 90
    assert np.diff(light).min() > 0.3 * np.diff(light).mean()  # least near black, where the two spaces differ
    circle = np.exp(1j * np.linspace(-3.14, 3.14, 100))
    np.testing.assert_array_equal(phase_colours(circle), phase_colours(7e-5 * circle))
    assert not np.array_equal(phase_colours(circle[10]), phase_colours(circle[60]))


def picture(*shape: int, frames: int = 1) -> Picture:
    """Random ψ, very small at the first index along x."""
    grid = Grid.of(shape, box=(8.0, 4.0)[: len(shape)], frames=frames, dt=0.5)
    psi = wave(frames, *shape)
    psi[:, 0] *= 1e-4
    return Picture(name="psi", view=plan_view(grid, frames=range(frames)), psi=psi)


def test_a_figure_shows_density_and_masked_phase_with_units_and_title() -> None:
    plane = picture(8, 4)
    figure = draw(plane)
    density, phase, *_ = figure.axes
    np.testing.assert_allclose(np.asarray(density.images[0].get_array()), np.abs(plane.psi[0].T) ** 2)
    assert tuple(density.images[0].get_extent()) == (-4.5, 3.5, -2.5, 1.5)
    assert (density.get_xlabel(), density.get_ylabel()) == ("x (bohr)", "y (bohr)")
    assert density.get_title() == "|ψ|² (bohr⁻²)"
    shown = np.asarray(phase.images[0].get_array())
    assert (shown[:, 0, 3] == 0).all()  # where |ψ| is below 1 % of its maximum
    assert (shown[:, 1:, 3] == 255).all()
    np.testing.assert_array_equal(shown[2, 3, :3], phase_colours(plane.psi[0, 3, 2]))
    assert figure.get_suptitle() == "psi   t = 0 ħ/Eh"
    bare = Picture(name="bare", view=plan_view(Grid(shape=(1, 4, 4, 4)), frames=range(1)), psi=wave(1, 4, 4))
    figure = draw(bare, ["density"])
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_title()) == ("x (grid index)", "|ψ|²")
    assert figure.get_suptitle() == "bare   z index 2"


def test_a_line_is_a_density_filled_with_phase_and_over_time_a_map() -> None:
    line = picture(32)
    axes, _ = draw(line).axes
    np.testing.assert_allclose(np.asarray(axes.lines[0].get_ydata()), np.abs(line.psi[0]) ** 2)
    fill = np.asarray(axes.images[0].get_array())
    heights = (fill[..., 3] > 0).mean(axis=0) * 1.05 * line.peak
    np.testing.assert_allclose(heights[1:], line.density[0, 1:], atol=0.01 * line.peak)
    assert (
        len(np.asarray(draw(line, ["phase"]).axes[0].collections[0].get_offsets()))
        == line.has_phase.sum()
        < 32
    )
    moving = picture(32, frames=6)
    over_time = draw(moving, ["density"]).axes[0]
    np.testing.assert_allclose(np.asarray(over_time.images[0].get_array()), np.abs(moving.psi.T) ** 2)
    assert (over_time.get_xlabel(), over_time.get_ylabel()) == ("t (ħ/Eh)", "x (bohr)")


@pytest.mark.parametrize("shape", [(8, 4), (32,)])
def test_an_animation_shows_its_frames_in_few_colours(shape: tuple[int, ...], tmp_path: Path) -> None:
    moving = picture(*shape, frames=3)
    frames = [frame.copy() for frame in drawn_frames(moving)]
    assert not np.array_equal(frames[0], frames[1])
    write_animation(tmp_path / "psi.gif", moving)
    with Image.open(tmp_path / "psi.gif") as film:
        assert (film.n_frames, film.info["duration"], film.info["loop"]) == (3, 50, 0)
        for number, frame in enumerate(frames):
            film.seek(number)
            stored = np.asarray(film.convert("RGB"), np.int64)
            assert stored.shape == frame.shape
            assert (stored[0, 0] == 255).all()
            assert np.abs(stored - frame).mean() < 3
    with pytest.raises(InvalidInput, match="has one frame to show"):
        write_animation(tmp_path / "one.gif", picture(*shape))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell with ffmpeg on its PATH, and named by QWF_URL a server with wavefunctions of 1, 2 and 3 dimensions."""
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
def shell(place: Shell) -> Iterator[Shell]:
    """The shell; after the test its directory is empty again."""
    yield place
    for name in files(place):
        (place.directory / name).unlink()


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
"""To start one for each costs more than what is tested."""


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
    (("packet", "--frame", "-1"), 7, "frame -1 is outside the grid"),
    (("orbital", "--slice", "z=16"), 7, "z = 16 is outside the grid: z runs from 0 to 15"),
    (("packet", "--slice", "z=0"), 7, "there is no axis z to cut"),
    (("packet", "--axis", "x"), 7, "nothing is left to draw when all axes are cut"),
    (("orbital", "-o", "a.gif"), 7, "orbital has one frame, which is no animation"),
    (("packet", "-o", "a.jpg"), 2, "a.jpg is written as its suffix says: .png, .svg, .gif, .mp4"),
    (("packet", "-o", "no/a.png"), 7, "cannot write no/a.png: No such file or directory"),
    (("packet", "-o", "."), 2, "is written as its suffix says"),
    (("packet", "--what", "current"), 2, "--what 'current' is none of density, phase, marginals"),
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
