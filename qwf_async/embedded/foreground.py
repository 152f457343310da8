"""A server in the foreground, for `qwf server run` and for supervisors. Blocking."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ..errors import Interrupted, Refused, ServerUnavailable
from ..host.signals import heeded
from .data_dir import Place
from .launch import prepare
from .lock import server_lock


def serve(data_dir: Path, *, maxmemory: int | None = None) -> None:
    """Run a server that logs to standard output until it ends or a signal stops it.

    The first SIGINT, SIGTERM or SIGHUP lets it save and end, the second ends it at once;
    either raises Interrupted. Returns if somebody else stopped it. `maxmemory` is in bytes.
    Only for the main thread. Raises Refused if a server of this data directory lives
    already, ServerUnavailable if there is no program or it ends by itself, and InvalidInput
    if the data directory cannot be used.
    """
    place = Place.of(data_dir)
    place.create()
    received: list[int] = []
    process: subprocess.Popen[bytes] | None = None

    def stop(signum: int, _frame: FrameType | None) -> None:
        received.append(signum)
        if process is not None:
            process.send_signal(signal.SIGTERM if len(received) == 1 else signal.SIGKILL)

    with _handling(stop) as wake:
        with server_lock(place) as lock:
            if lock is None:
                raise Refused(f"a server of {place.data_dir} lives already: stop it with 'qwf server stop'")
            command = prepare(place, maxmemory=maxmemory, detached=False)
            try:
                # In a session of its own, or Ctrl-C would reach it twice: from here and from the terminal.
                process = subprocess.Popen(  # noqa: S603 # a server program with a file of ours
                    command,
                    stdin=subprocess.DEVNULL,
                    cwd=place.data_dir,
                    pass_fds=(lock,),
                    umask=0o077,
                    start_new_session=True,
                )
            except OSError as error:
                raise ServerUnavailable(f"{command[0]} does not run: {error}") from error
        if received:
            process.terminate()
        while (status := process.poll()) is None:
            wake.recv(
                1
            )  # not wait(): a signal that comes just before it blocks would be heard at its end only
    if received:
        saved = "its data is saved" if status == 0 else "what was written since the last save is lost"
        raise Interrupted(f"the server of {place.data_dir} was stopped; {saved}", received[0])
    if status != 0:
        raise ServerUnavailable(
            f"the server of {place.data_dir} ended with status {status}, see what it said"
        )


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[socket.socket]:
    """Handle the signals that stop; what is yielded receives a byte for each of them, and when a child ends."""
    heard, told = socket.socketpair()
    told.setblocking(False)
    before = heeded()
    for number in before:
        signal.signal(number, handler)
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    woken = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    try:
        yield heard
    finally:
        signal.set_wakeup_fd(woken)
        for number, previous in before.items():
            signal.signal(number, previous)
        heard.close()
        told.close()
