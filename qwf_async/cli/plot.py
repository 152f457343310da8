"""`qwf plot` draws a stored wavefunction, in a file or in the terminal."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from .jobs import run_on_store
from .options import (
    JsonOption,
    NameArgument,
    OverwriteOption,
    QuietOption,
    ServerOptions,
    one_of,
    with_option_groups,
)
from .output import print_json, say
from .point import AtOption
from .stored_wavefunction import open_stored

if TYPE_CHECKING:
    from ..plotting import PlotData
    from ..plotting.plot_request import PlotRequest
    from ..store.store import Store


@with_option_groups
def plot(
    name: NameArgument,
    kind: Annotated[
        str | None,
        typer.Option(
            "--what",
            help="density, phase, current, marginals (density along each axis), momentum (its density), "
            "expectations (⟨x⟩ ± σ over time), spectrum (energies), or animation.",
            show_default="density and phase",
            autocompletion=one_of(
                *(
                    "density",
                    "phase",
                    "current",
                    "marginals",
                    "momentum",
                    "expectations",
                    "spectrum",
                    "animation",
                )
            ),
        ),
    ] = None,
    frame: Annotated[
        int | None, typer.Option("--frame", help="The frame, by its number.", show_default="0")
    ] = None,
    all_frames: Annotated[
        bool, typer.Option("--all", help="All frames: an animation; of a line, a map over time.")
    ] = False,
    cut: Annotated[
        str | None,
        typer.Option(
            "--slice",
            help="Where to cut, as an index: z=64 for a plane, y=3,z=64 for a line.",
            show_default="the middle of z",
        ),
    ] = None,
    axis: Annotated[
        str | None, typer.Option(help="Cut in the middle of x, y or z.", show_default=False)
    ] = None,
    at: AtOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="A .png, .svg, .gif or .mp4 file. Else it is drawn here.", show_default=False
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw |ψ|² and phase of a plane or a line, current, momentum, ⟨x⟩ over time, spectrum, or an animation.

    Only what is shown is read, of large grids every n-th point. The phase is a colour, where
    |ψ| is above 1 % of its maximum. Files need the extra `plot`, .mp4 also ffmpeg.

    \b
    Examples:
      qwf plot hydrogen
      qwf plot hydrogen --slice y=48 -o orbital.png
      qwf plot hydrogen --at y=2.5 -o orbital.png
      qwf plot packet --all -o packet.gif
      qwf plot packet --what expectations -o path.svg
      qwf plot packet --what momentum --frame 3
    """
    from ..plotting.plot_request import read_plot_request

    request = read_plot_request(kind, frame=frame, all_frames=all_frames, cut=cut, axis=axis, at=at, out=out)
    if as_json and out is None:
        raise UsageError("--json tells of the file that was written: give -o FILE")
    if out is not None:
        from ..exporting.whole_file import check_free
        from .plot_file import check_libraries, write_plot

        check_free(out, overwrite=overwrite)
        check_libraries(out)
    data = run_on_store(
        partial(_read, name=name, request=request, quiet=quiet), server_options, reading=True, quiet=quiet
    )
    if not quiet:
        _say_remarks(data, cut_chosen=bool(request.fixed or request.at))
    if out is None:
        _show(data, request)
        return
    write_plot(data, request, out)
    if as_json:
        print_json({"name": name, "file": str(out), "bytes": out.stat().st_size} | _facts(data))
    elif not quiet:
        say(f"wrote {out}")


async def _read(store: Store, *, name: str, request: PlotRequest, quiet: bool) -> PlotData:
    """The numbers of the plot. Raises UsageError or InvalidInput if the wavefunction cannot be drawn so."""
    from ..events import progress_of
    from ..lattice.position import nearest_point, position_text
    from ..plotting import read_plot
    from ..plotting.terminal import MAX_WIDTH
    from .progress import shown_progress

    psi = await open_stored(store, name)
    nearest = nearest_point(psi.manifest.grid, request.at)
    if nearest and not quiet:
        say(f"at {position_text(psi.manifest.grid, nearest)}")
    with shown_progress(quiet=quiet or request.frame is not None) as hook:
        return await read_plot(
            psi,
            request,
            max_points=MAX_WIDTH,
            on_screen=request.out is None,
            done_of=lambda total: progress_of(hook, total, point_bytes=psi.dtype.itemsize),
        )


def _say_remarks(data: PlotData, *, cut_chosen: bool) -> None:
    """Say what the user should know of a plot and cannot see in it."""
    from ..plotting import Picture, unknown_axes

    unknown = unknown_axes(data)
    if unknown:
        say(f"the spacing along {', '.join(unknown)} is not known: lengths there are in grid steps")
    if data.note:
        say(data.note)
    if isinstance(data, Picture):
        if data.peak == 0:
            say("ψ is zero everywhere in this picture: --slice chooses another place")
        elif not cut_chosen and data.view.cut and data.view.cut != (3,):
            say("ψ vanishes in the middle of z: shown is another plane; --slice chooses one")


def _show(data: PlotData, request: PlotRequest) -> None:
    """Draw in the terminal."""
    from rich.console import Console

    from ..plotting import show_plot
    from ..plotting.terminal import MIN_WIDTH

    console = Console()
    console.width = max(console.width, MIN_WIDTH)
    show_plot(console, data, request)


def _facts(data: PlotData) -> dict[str, Any]:
    """What --json says of a picture, besides the file."""
    from ..lattice.position import position_label
    from ..plotting import Picture

    if not isinstance(data, Picture):
        return {}
    view = data.view
    return {
        "axes": ["txyz"[axis] for axis in view.axes],
        "cut": [position_label(view.grid, axis, view.fixed[axis - 1]) for axis in view.cut],
        "frames": {"first": view.frames[0], "count": len(view.frames), "step": view.frames.step},
        "steps": list(view.steps),
        "peak_density": data.peak,
    }
