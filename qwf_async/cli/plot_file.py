"""A plot drawn into a file, whole or not at all, also when a signal comes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import Interrupted, InvalidInput
from ..exporting.whole_file import written_whole
from ..host.signals import stop_signals_handled
from ..plotting import Picture, PlotData, draw_plot, write_animation
from ..plotting.animation import need_ffmpeg
from ..plotting.figure import need_matplotlib
from ..plotting.plot_request import PlotRequest


def check_libraries(out: Path) -> None:
    """Raises UsageError if matplotlib, or for an .mp4 file ffmpeg, is not installed."""
    need_matplotlib()
    if out.suffix.lower() == ".mp4":
        need_ffmpeg()


def write_plot(data: PlotData, request: PlotRequest, out: Path) -> None:
    """Draw a plot into a file, whole or not at all.

    Raises InvalidInput if the file cannot be written, and Interrupted at a signal.
    """
    try:
        with _stop_signals_noted(out) as check, written_whole(out) as beside:
            try:
                _draw(data, request, beside, check)
            finally:
                check()  # in place of an error that the signal may have caused: ffmpeg receives Ctrl-C too
    except OSError as error:
        raise InvalidInput(f"cannot write {out}: {error.strerror or error}") from error


def _draw(data: PlotData, request: PlotRequest, path: Path, check: Callable[[], None]) -> None:
    if isinstance(data, Picture) and request.is_animation:
        write_animation(path, data, request.quantities, done=check)
        return
    figure = draw_plot(data, request)
    metadata = {"Date": None} if path.suffix.lower() == ".svg" else None  # the same picture is the same file
    figure.savefig(path, metadata=metadata)


@contextmanager
def _stop_signals_noted(out: Path) -> Iterator[Callable[[], None]]:
    """A function that raises Interrupted if SIGINT, SIGTERM or SIGHUP came; a second signal raises it at once.

    The first signal does not raise, because the exception of a handler can come within a callback
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

    with stop_signals_handled(note):
        yield check
