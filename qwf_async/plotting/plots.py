"""Any plot, as a request says: its numbers read, and drawn as a figure or in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from anyio import to_thread

from ..checked import checked
from ..errors import InvalidInput, UsageError
from ..lattice.position import nearest_point
from ..observables.geometry import in_steps
from ..store.frame_boxes import Done
from ..store.wavefunction import Wavefunction
from ..wording import option, phrase
from .curves import Curves, Expectations, Field
from .figure import draw, draw_curves, draw_expectations, draw_field, need_matplotlib
from .from_physics import read_current, read_momentum, read_spectrum
from .from_store import read_expectations, read_marginals, read_picture
from .picture import Picture
from .plot_request import PlotRequest, read_plot_request
from .terminal import show_curves, show_expectations, show_field, show_picture
from .view_plan import plan_view

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console

PlotData = Picture | Curves | Field | Expectations
"""The numbers of a plot, as they are read for it."""


async def plot(
    psi: Wavefunction,
    what: str | None = None,
    *,
    frame: int | None = None,
    all: bool = False,  # noqa: A002 - as the option is called
    slice: str | Mapping[str, int] | None = None,  # noqa: A002 - as the option is called
    axis: str | None = None,
    at: str | Mapping[str, float] | None = None,
) -> Figure:
    """A matplotlib Figure of a stored wavefunction, which a notebook shows. Its method `savefig` writes it to a file.

    `what` is a kind of `kinds.KINDS`, or None for density and phase. `slice` says where to cut by
    index ("y=3,z=64" or {"y": 3, "z": 64}), `at` by coordinate, at the nearest point ("z=1.5,t=2"),
    `axis` in the middle of an axis. Frames below 0 count from the end; `all` draws a line over time.
    Only what is shown is read. Raises UsageError for what cannot be combined or if matplotlib is not
    installed, InvalidInput for what is not there; else as `Wavefunction.point`.
    """
    request = _request(what, frame=frame, all=all, slice=slice, axis=axis, at=at)
    need_matplotlib()
    data = await read_plot(psi, request, on_screen=False)
    return await to_thread.run_sync(draw_plot, data, request)


@checked
def _request(
    what: str | None,
    *,
    frame: int | None,
    all: bool,  # noqa: A002 - as the option is called
    slice: str | Mapping[str, int] | None,  # noqa: A002 - as the option is called
    axis: str | None,
    at: str | Mapping[str, float] | None,
) -> PlotRequest:
    """The arguments of `plot`, checked, as one request."""
    return read_plot_request(
        what, frame=frame, all_frames=all, cut=_text(slice), axis=axis, at=_text(at), out=None
    )


def _text(places: str | Mapping[str, float] | None) -> str | None:
    """Places as the command line has them: {"y": 3, "z": 64} is y=3,z=64."""
    if isinstance(places, Mapping):
        return ",".join(f"{axis}={value}" for axis, value in places.items())
    return places


async def read_plot(
    psi: Wavefunction,
    request: PlotRequest,
    *,
    max_points: int | None = None,
    on_screen: bool,
    done_of: Callable[[int], Done] = lambda total: lambda points: None,
) -> PlotData:
    """The numbers of a plot. `on_screen` says that it is for the terminal, of `max_points` along an axis.

    `done_of` is called with the number of points that are read; what it returns is told of points
    as they come. Raises UsageError or InvalidInput if the wavefunction cannot be drawn so.
    """
    grid = psi.manifest.grid
    request = request.on(grid, nearest_point(grid, request.at))
    frame, fixed = request.frame or 0, request.fixed
    middle = {axis: grid.shape[axis] // 2 if index is None else index for axis, index in fixed.items()}
    match request.kind:
        case "marginals":
            return await read_marginals(psi, frame)
        case "momentum":
            return await read_momentum(psi, frame, next(iter(fixed), None))
        case "current":
            return await read_current(psi, frame, middle)
        case "spectrum":
            return await read_spectrum(psi, done=done_of(grid.points))
        case "expectations":
            return await read_expectations(psi, done=done_of(grid.points))
    frames = range(grid.shape[0]) if request.frame is None else range(frame, frame + 1)
    free = sum(grid.shape[axis] > 1 and axis not in middle for axis in (1, 2, 3))
    if not request.is_animation and free > 1 and len(frames) > 1:
        cure = phrase(
            command_line="-o FILE.gif or -o FILE.mp4",
            python="write_animation of qwf_async.plotting makes one",
        )
        raise UsageError(
            f"a plane at all frames is an animation: {cure}; or {option('slice')} a line for a map over time"
        )
    if request.is_animation and len(frames) == 1:
        raise InvalidInput(f"{psi.name} has one frame, which is no animation: write a .png or .svg")
    if not on_screen or (free == 1 and len(frames) == 1):
        max_points = None
    view = plan_view(grid, frames=frames, fixed=middle, max_points=max_points)
    return await read_picture(
        psi, frames=frames, fixed=middle, max_points=max_points, done=done_of(view.selection.points)
    )


def draw_plot(data: PlotData, request: PlotRequest) -> Figure:
    """The numbers as a matplotlib Figure. Raises as `draw`."""
    match data:
        case Picture():
            return draw(data, request.quantities)
        case Curves():
            return draw_curves(data)
        case Field():
            return draw_field(data)
        case Expectations():
            return draw_expectations(data)


def show_plot(console: Console, data: PlotData, request: PlotRequest) -> None:
    """Print the numbers as a picture in the terminal."""
    match data:
        case Picture():
            show_picture(console, data, request.quantities)
        case Curves():
            show_curves(console, data)
        case Field():
            show_field(console, data)
        case Expectations():
            show_expectations(console, data)


def unknown_axes(data: PlotData) -> str:
    """The axes that count in grid steps, such as "xy"."""
    return in_steps(data.view.grid) if isinstance(data, Picture) else data.in_steps
