"""Animations: GIF by Pillow, MP4 by ffmpeg.

The figure is laid out and drawn once; for each frame only what changes is drawn over it.
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
from .panels import add_panel, panels_of
from .picture import Picture

RATE: Final = 20
"""Frames a second. A GIF counts time in hundredths of a second, so this is exact."""

DPI: Final = 100

Image8 = NDArray[np.uint8]


def write_film(
    path: Path,
    picture: Picture,
    what: Sequence[str] = BOTH,
    *,
    done: Callable[[], object] = lambda: None,
) -> None:
    """Write the frames of a picture as an animation, as the suffix of the path says: ".gif" or ".mp4".

    `done` is called after each frame. Memory: a GIF is held until its end, a byte a pixel.
    Raises InvalidInput for a single frame, or if ffmpeg fails; UsageError where matplotlib or
    ffmpeg are not installed; OSError if the file cannot be written.
    """
    if len(picture.view.frames) == 1:
        raise InvalidInput(
            f"{picture.name} has one frame to show, which is no animation: write a .png or .svg"
        )
    writer = {".gif": _write_gif, ".mp4": _write_mp4}[path.suffix.lower()]
    writer(path, _told(drawn(picture, what), done))


def drawn(picture: Picture, what: Sequence[str] = BOTH) -> Iterator[Image8]:
    """The frames, each uint8 [height, width, 3], of even height and width, in the same memory."""
    kinds = panels_of(picture, what)
    figure = new_figure(len(kinds), wide=len(picture.view.axes) == 1, dpi=DPI)
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
    figure.set_layout_engine("none")  # else each frame would be laid out anew, and tremble
    background = canvas.copy_from_bbox(figure.bbox)
    for number in range(len(picture.view.frames)):
        canvas.restore_region(background)
        for axes, show in shows:
            for artist in (*show(number), *axes.spines.values()):
                axes.draw_artist(artist)
        title.set_text(picture.title(number))
        figure.draw_artist(title)
        pixels = np.asarray(canvas.buffer_rgba())
        height, width = (size // 2 * 2 for size in pixels.shape[:2])  # what H.264 needs
        yield pixels[:height, :width, :3]


def need_ffmpeg() -> str:
    """The path of ffmpeg. Raises UsageError where there is none."""
    found = shutil.which("ffmpeg")
    if found is None:
        raise UsageError("an MP4 needs ffmpeg, which is not on the PATH: install it, or write a .gif")
    return found


def _told(frames: Iterator[Image8], done: Callable[[], object]) -> Iterator[Image8]:
    for frame in frames:
        yield frame
        done()


def _write_gif(path: Path, frames: Iterator[Image8]) -> None:
    from PIL import Image

    palette, table = _palette()

    def indexed(frame: Image8) -> Image.Image:
        red, green, blue = (frame >> 3).astype(np.uint16).transpose(2, 0, 1)
        image = Image.fromarray(table[red << 10 | green << 5 | blue])
        image.putpalette(palette.tobytes())
        return image

    images = map(indexed, frames)
    next(images).save(path, "GIF", save_all=True, append_images=images, duration=1000 // RATE, loop=0)


def _palette() -> tuple[Image8, Image8]:
    """256 colours for all frames, [256, 3], and which is nearest to each colour of five bits a channel, [32768].

    One palette for all, so that colours do not flicker: those of densities, of phases, and greys.
    """
    greys = np.linspace(0, 255, 64).round().astype(np.uint8)[:, None].repeat(3, axis=1)
    palette = np.concatenate((density_table(96), phase_table(96), greys))
    levels = np.linspace(0, 255, 32, dtype=np.float32)
    colours = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    squares = np.square(palette, dtype=np.float32).sum(axis=1)
    nearest = np.argmin(squares - 2 * colours @ palette.T.astype(np.float32), axis=1)
    return palette, nearest.astype(np.uint8)


def _write_mp4(path: Path, frames: Iterator[Image8]) -> None:
    first = next(frames)
    height, width = first.shape[:2]
    command = [
        need_ffmpeg(), "-nostdin", "-loglevel", "error", "-y",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(RATE), "-i", "-",
        "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", "mp4", str(path),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # noqa: S603 - arguments of ours
        try:
            said = _feed(process, first, frames)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise InvalidInput(f"ffmpeg could not write {path.name}: {said or f'exit {process.returncode}'}")


def _feed(process: subprocess.Popen[bytes], first: Image8, frames: Iterator[Image8]) -> str:
    """Hand ffmpeg the frames; the last line it says. One that ends early says why."""
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
