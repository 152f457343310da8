"""The command line: `qwf`."""

from __future__ import annotations

import os


def main() -> None:
    """Entry point of the console commands. Exits with the code of the error, if there is one."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # closed, as by `>&-`: its number would go to a socket, which libuv aborts over
            os.open(os.devnull, os.O_RDWR)
    try:
        # Imported here, so that Ctrl-C is understood in the quarter of a second that it takes.
        from .app import run

        run()
    except KeyboardInterrupt:
        os._exit(130)


__all__ = ["main"]
