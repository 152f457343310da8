"""Animations: GIF by Pillow, MP4 by ffmpeg.

The figure is laid out and drawn once; for each frame only the artists that change are drawn over it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput, UsageError
from .colours import density_table, phase_table
from .figure import BOTH, new_figure
from .panels import add_panel, panel_kinds
from .picture import Picture

FRAMES_PER_SECOND: Final = 20
"""A GIF counts time in hundredths of a second, so this rate is exact."""

ANIMATION_DPI: Final = 100

Image8 = NDArray[np.uint8]


def write_animation(
    path: Path,
    picture: Picture,
    quantities: Sequence[str] = BOTH,
    *,
    done: Callable[[], object] = lambda: None,
) -> None:
    """Write the frames of a picture as an animation, as the suffix of the path says: ".gif" or ".mp4".

    `done` is called after each frame. All frames of a GIF are in memory, a byte a pixel. Raises
    InvalidInput for a single frame, or if ffmpeg fails; UsageError if matplotlib or ffmpeg is
    not installed; OSError if the file cannot be written.
    """
    if len(picture.view.frames) == 1:
        raise InvalidInput(
            f"{picture.name} has one frame to show, which is no animation: write a .png or .svg"
        )
    writer = {".gif": _write_gif, ".mp4": _write_mp4}[path.suffix.lower()]
    writer(path, _reported(drawn_frames(picture, quantities), done))


def drawn_frames(picture: Picture, quantities: Sequence[str] = BOTH) -> Iterator[Image8]:
    """The frames as pixels, each uint8 [height, width, 3], of even height and width, all in the same memory."""
    kinds = panel_kinds(picture, quantities)
    figure = new_figure(len(kinds), wide=len(picture.view.axes) == 1, dpi=ANIMATION_DPI)
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    all_axes = figure.subplots(1, len(kinds), squeeze=False)[0]
    shows = [
        (axes, add_panel(figure, axes, picture, kind)) for axes, kind in zip(all_axes, kinds, strict=True)
    ]
    title = figure.suptitle(picture.title(0), animated=True)
    for _, show in shows:
        for artist in show(0):
            artist.set_animated(True)
    canvas.draw()
    figure.set_layout_engine("none")  # otherwise each frame would be laid out anew, and tremble
    background = canvas.copy_from_bbox(figure.bbox)
    for number in range(len(picture.view.frames)):
        canvas.restore_region(background)
        for axes, show in shows:
            for artist in (*show(number), *axes.spines.values()):
                axes.draw_artist(artist)
        title.set_text(picture.title(number))
        figure.draw_artist(title)
        pixels = np.asarray(canvas.buffer_rgba())
        height, width = (size // 2 * 2 for size in pixels.shape[:2])  # H.264 needs even sizes
        yield pixels[:height, :width, :3]


def need_ffmpeg() -> str:
    """The path of ffmpeg. Raises UsageError if there is none."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise UsageError("an MP4 needs ffmpeg, which is not on the PATH: install it, or write a .gif")
    return program


def _reported(frames: Iterator[Image8], done: Callable[[], object]) -> Iterator[Image8]:
    """The frames; `done` is called when the next one is asked for."""
    for frame in frames:
        yield frame
        done()


def _write_gif(path: Path, frames: Iterator[Image8]) -> None:
    from PIL import Image

    palette, table = _palette()

    def indexed(frame: Image8) -> Image.Image:
        # Five bits a channel: [height, width, 3] → three channels of [height, width].
        red, green, blue = (frame >> 3).astype(np.uint16).transpose(2, 0, 1)
        image = Image.fromarray(table[red << 10 | green << 5 | blue])
        image.putpalette(palette.tobytes())
        return image

    images = map(indexed, frames)
    next(images).save(
        path, "GIF", save_all=True, append_images=images, duration=1000 // FRAMES_PER_SECOND, loop=0
    )


def _palette() -> tuple[Image8, Image8]:
    """256 colours for all frames, [256, 3], and the nearest of them to each colour of five bits a channel, [32768].

    All frames have one palette, so that colours do not flicker: those of densities, phases, and greys.
    """
    greys = np.linspace(0, 255, 64).round().astype(np.uint8)[:, None].repeat(3, axis=1)
    palette = np.concatenate((density_table(96), phase_table(96), greys))
    levels = np.linspace(0, 255, 32, dtype=np.float32)
    # All colours of five bits a channel, [32, 32, 32, 3] → [32768, 3], red in the highest bits of the index.
    colours = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    squares = np.square(palette, dtype=np.float32).sum(axis=1)
    nearest = np.argmin(squares - 2 * colours @ palette.T.astype(np.float32), axis=1)
    return palette, nearest.astype(np.uint8)


def _write_mp4(path: Path, frames: Iterator[Image8]) -> None:
    first = next(frames)
    height, width = first.shape[:2]
    command = [
        need_ffmpeg(), "-nostdin", "-loglevel", "error", "-y",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(FRAMES_PER_SECOND), "-i", "-",
        "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", "mp4", str(path),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # noqa: S603 - arguments of ours
        try:
            last_line = _feed(process, first, frames)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise InvalidInput(f"ffmpeg could not write {path.name}: {last_line or f'exit {process.returncode}'}")


def _feed(process: subprocess.Popen[bytes], first: Image8, frames: Iterator[Image8]) -> str:
    """Hand ffmpeg the frames; the result is the last line that it prints, which says why if it ends early."""
    if process.stdin is None or process.stderr is None:
        raise OSError("no pipe to ffmpeg")
    try:
        process.stdin.write(first.tobytes())
        for frame in frames:
            process.stdin.write(frame.tobytes())
        process.stdin.close()
    except BrokenPipeError:
        pass
    lines: list[Any] = process.stderr.read().decode(errors="replace").splitlines()
    return lines[-1] if lines else ""
