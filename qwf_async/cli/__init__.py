"""The command line: `qwf`."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # built in, and quicker by 4 ms than what is around it
import os
import sys
from io import TextIOWrapper


def main() -> None:
    """The entry point of `qwf`. Exits with the code of the error, if there is one."""
    _main(chain=False)


def quantum_wavefunc() -> None:
    """The entry point of `quantum-wavefunc`, the name of an older project: with arguments it is `qwf`."""
    _main(chain=len(sys.argv) == 1)


def _main(*, chain: bool) -> None:
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


__all__ = ["main", "quantum_wavefunc"]
