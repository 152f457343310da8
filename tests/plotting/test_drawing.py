"""A picture drawn: colours, figures and animations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Grid
from qwf_async.plotting import Picture, draw, plan_view, write_animation
from qwf_async.plotting.animation import drawn_frames
from qwf_async.plotting.colours import density_table, phase_colours, phase_table, signed_table
from tests.support.loads import wave


def lab(rgb: NDArray[Any]) -> NDArray[np.float64]:
    """CIELAB of sRGB bytes [n, 3], by IEC 61966-2-1 and CIE 15, independent of Oklab."""
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


def test_colours_of_signed_numbers_are_even_neutral_at_0_and_told_apart_by_all() -> None:
    table = signed_table(64)
    colours = lab(table)
    steps = np.linalg.norm(np.diff(colours, axis=0), axis=1)
    assert steps.max() < 2 * np.median(steps)
    assert np.linalg.norm(colours[31:33, 1:], axis=1).max() < 3  # grey, as near to 0 as a table has it
    np.testing.assert_allclose(colours[:, 0], colours[::-1, 0], atol=4)  # no sign is brighter
    assert np.all(np.diff(colours[32:, 0]) < 0)
    # Without cones for red or for green. Source: Viénot, Brettel and Mollon (1999), their equations for sRGB.
    linear = (table / 255) ** 2.2
    for red, blue in ((0.11238, 0.00401), (0.29275, -0.02234)):
        yellow = red * linear[:, 0] + (1 - red) * linear[:, 1]
        seen = np.stack((yellow, yellow, blue * linear[:, 0] - blue * linear[:, 1] + linear[:, 2]), axis=1)
        seen_lab = lab(255 * np.clip(seen, 0, 1) ** (1 / 2.2))
        assert np.linalg.norm(seen_lab[:24] - seen_lab[:-25:-1], axis=1).min() > 12


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
