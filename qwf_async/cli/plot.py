"""`qwf plot`: pictures of a stored wavefunction, in a file or in the terminal."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import Interrupted, InvalidInput, UsageError
from ..exporting.whole_file import check_free, replaced
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
from .stored_wavefunction import open_stored

if TYPE_CHECKING:
    from ..plot import Expectations, Marginals, Picture
    from ..plot.request import Asked
    from ..store.store import Store


@with_option_groups
def plot(
    name: NameArgument,
    what: Annotated[
        str | None,
        typer.Option(
            help="density, phase, marginals (density along each axis), expectations (⟨x⟩ ± σ over time), "
            "or animation.",
            show_default="density and phase",
            autocompletion=one_of("density", "phase", "marginals", "expectations", "animation"),
        ),
    ] = None,
    frame: Annotated[
        int | None, typer.Option("--frame", help="The frame, by its number.", show_default="0")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All frames: an animation; of a line, a map over time.")
    ] = False,
    at: Annotated[
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
    """Draw |ψ|² and the phase of a plane or a line, marginals, ⟨x⟩ over time, or an animation.

    Only what is shown is read, of large grids every n-th point. The phase is a colour, where
    |ψ| is above 1 % of its maximum. Files need the extra `plot`, .mp4 also ffmpeg.

    \b
    Examples:
      qwf plot hydrogen
      qwf plot hydrogen --slice y=48 -o orbital.png
      qwf plot packet --all -o packet.gif
      qwf plot packet --what expectations -o path.svg
    """
    from ..plot.request import read_request

    asked = read_request(what, frame=frame, every=every, at=at, axis=axis, out=out)
    if as_json and out is None:
        raise UsageError("--json tells of the file that was written: give -o FILE")
    if out is not None:
        check_free(out, overwrite=overwrite)
        _need_libraries(asked)

    async def job(store: Store) -> Picture | Marginals | Expectations:
        return await _read(store, name, asked, quiet=quiet)

    found = run_on_store(job, server_options, quiet=quiet)
    if not quiet:
        _remark(found, chosen=bool(asked.fixed))
    if out is None:
        _show(found, asked)
        return
    _write(found, asked, out)
    if as_json:
        print_json({"name": name, "file": str(out), "bytes": out.stat().st_size} | _facts(found))
    elif not quiet:
        say(f"wrote {out}")


def _need_libraries(asked: Asked) -> None:
    from ..plot.figure import need_matplotlib
    from ..plot.film import need_ffmpeg

    need_matplotlib()
    if asked.out is not None and asked.out.suffix.lower() == ".mp4":
        need_ffmpeg()


async def _read(store: Store, name: str, asked: Asked, *, quiet: bool) -> Picture | Marginals | Expectations:
    from ..events import progress_of
    from ..plot import plan_view, read_expectations, read_marginals, read_picture
    from ..plot.terminal import WIDTH
    from .progress import shown_progress

    psi = await open_stored(store, name)
    grid = psi.manifest.grid
    if asked.what == "marginals":
        return await read_marginals(psi, asked.frame or 0)
    frames = range(grid.shape[0]) if asked.frame is None else range(asked.frame, asked.frame + 1)
    fixed = {axis: grid.shape[axis] // 2 if index is None else index for axis, index in asked.fixed.items()}
    free = sum(grid.shape[axis] > 1 and axis not in fixed for axis in (1, 2, 3))
    if (
        asked.frame is None
        and not asked.film
        and asked.what != "expectations"
        and free > 1
        and len(frames) > 1
    ):
        raise UsageError(
            "a plane at all frames is an animation: -o FILE.gif or -o FILE.mp4; or --slice a line for a map over time"
        )
    if asked.film and len(frames) == 1:
        raise InvalidInput(f"{name} has one frame, which is no animation: write a .png or .svg")
    most = None if asked.out or (free == 1 and asked.frame is not None) else WIDTH
    total = grid.points
    if asked.what != "expectations":
        total = plan_view(grid, frames=frames, fixed=fixed, most=most).selection.points
    with shown_progress(quiet=quiet or asked.frame is not None) as hook:
        done = progress_of(hook, total, point_bytes=psi.dtype.itemsize)
        if asked.what == "expectations":
            return await read_expectations(psi, done=done)
        return await read_picture(psi, frames=frames, fixed=fixed, most=most, done=done)


def _remark(found: Picture | Marginals | Expectations, *, chosen: bool) -> None:
    """What should be known of a picture and is not to be seen in it."""
    from ..observables.geometry import in_steps
    from ..plot import Picture

    unknown = in_steps(found.view.grid) if isinstance(found, Picture) else found.in_steps
    if unknown:
        say(f"the spacing along {', '.join(unknown)} is not known: lengths there are in grid steps")
    if isinstance(found, Picture):
        if found.note:
            say(found.note)
        if found.peak == 0:
            say("ψ is zero everywhere in this picture: --slice chooses another place")
        elif not chosen and found.view.cut and found.view.cut != (3,):
            say("ψ vanishes in the middle of z: shown is another plane; --slice chooses one")


def _show(found: Picture | Marginals | Expectations, asked: Asked) -> None:
    from rich.console import Console

    from ..plot import Marginals, Picture
    from ..plot.terminal import NARROWEST, show_expectations, show_marginals, show_picture

    console = Console()
    console.width = max(console.width, NARROWEST)
    if isinstance(found, Picture):
        show_picture(console, found, asked.kinds)
    elif isinstance(found, Marginals):
        show_marginals(console, found)
    else:
        show_expectations(console, found)


def _write(found: Picture | Marginals | Expectations, asked: Asked, out: Path) -> None:
    """Draw into the file, whole or not at all. Raises InvalidInput if it cannot be written, Interrupted at a signal."""
    try:
        with _signals_noted(out) as check, replaced(out) as beside:
            try:
                _draw(found, asked, beside, check)
            finally:
                check()  # not the error that the signal may have caused: ffmpeg hears Ctrl-C too
    except OSError as error:
        raise InvalidInput(f"cannot write {out}: {error.strerror or error}") from error


def _draw(
    found: Picture | Marginals | Expectations,
    asked: Asked,
    path: Path,
    check: Callable[[], None],
) -> None:
    from ..plot import Marginals, Picture, draw, draw_expectations, draw_marginals, write_film

    if isinstance(found, Picture):
        if asked.film:
            write_film(path, found, asked.kinds, done=check)
            return
        figure = draw(found, asked.kinds)
    else:
        figure = draw_marginals(found) if isinstance(found, Marginals) else draw_expectations(found)
    metadata = {"Date": None} if path.suffix.lower() == ".svg" else None  # the same picture is the same file
    figure.savefig(path, metadata=metadata)


@contextmanager
def _signals_noted(out: Path) -> Iterator[Callable[[], None]]:
    """Yields what raises Interrupted if SIGINT, SIGTERM or SIGHUP came; a second signal raises it at once.

    The first does not, because an exception that a handler raises can come within a callback
    of a weak reference, of which matplotlib has many, and is ignored there.
    """
    received: list[int] = []

    def check() -> None:
        if received:
            name = signal.Signals(received[0]).name
            raise Interrupted(f"stopped by {name}; {out} was not written", received[0])

    def note(number: int, _: object) -> None:
        received.append(number)
        if len(received) > 1:
            check()

    from ..host.signals import stop_signals_handled

    with stop_signals_handled(note):
        yield check


def _facts(found: Picture | Marginals | Expectations) -> dict[str, Any]:
    from ..plot import Picture
    from ..plot.picture import position

    if not isinstance(found, Picture):
        return {}
    view = found.view
    return {
        "axes": ["txyz"[axis] for axis in view.axes],
        "cut": [position(view.grid, axis, view.fixed[axis - 1]) for axis in view.cut],
        "frames": {"first": view.frames[0], "count": len(view.frames), "step": view.frames.step},
        "steps": list(view.steps),
        "peak_density": found.peak,
    }
