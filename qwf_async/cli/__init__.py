"""The command line: `qwf`."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # built in, and quicker by 4 ms than what is around it
import os
import sys
from io import TextIOWrapper

TYPE_CHECKING = False  # not from typing, which takes 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """The entry point of `qwf`. Exits with the code of the error, if there is one."""
    _end_quickly_after(command_line)


def quantum_wavefunc() -> None:
    """The entry point of `quantum-wavefunc`, the name of an older project: with arguments it is `qwf`."""
    if len(sys.argv) > 1:
        main()
    else:
        command_line(chain=True)


def _end_quickly_after(job: Callable[[], None]) -> None:
    """Run the job and end, without what only costs a short command time.

    Circles of objects are looked for less often (0.05 s), and modules are not taken down in the end (0.1 s).
    """
    import gc

    gc.set_threshold(100_000)
    status: object = 0
    try:
        job()
    except SystemExit as end:
        status = end.code
    import atexit
    import threading

    if threading.active_count() == 1 and isinstance(status, int | None):
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except (OSError, ValueError):  # Python says so, as it ends
            sys.exit(status)
        atexit._run_exitfuncs()
        os._exit(status or 0)
    sys.exit(status)  # type: ignore[arg-type] # as it was


def command_line(*, chain: bool = False) -> None:
    """Run the command of this process's arguments. Raises SystemExit, or ends the process after an error."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:  # closed, as by `>&-`: a socket would get its number, and libuv aborts then
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:  # if its descriptor was closed when Python began
            setattr(sys, name, os.fdopen(descriptor, "r" if descriptor == 0 else "w", closefd=False))
    # A terminal that cannot print ψ, or the name of a file that is not UTF-8, shows it escaped.
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors in ("strict", "surrogateescape"):
        sys.stdout.reconfigure(errors="backslashreplace")
    # Until a job runs there is nothing to clean up, and an exception in the middle of an import can get lost.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .app import run  # here, because it takes a quarter of a second, in which Ctrl-C must have an effect

    try:
        run(chain=chain)
    except KeyboardInterrupt:
        from ..errors import status_of

        os._exit(status_of(signal.SIGINT))


__all__ = ["command_line", "main", "quantum_wavefunc"]
