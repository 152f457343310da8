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
from ..host.signals import stop_signals_handled
from .data_dir import DataDir
from .launch import prepared_command, process_options
from .lock import server_lock


def serve(directory: Path, *, maxmemory: int | None = None) -> None:
    """Run a server of a data directory, which logs to standard output, until it ends or a signal stops it.

    The first SIGINT, SIGTERM or SIGHUP lets the server save and end, the second ends it at once.
    Either raises Interrupted. Returns if another process stopped the server. `maxmemory` is in
    bytes. Only for the main thread.

    Raises Refused if a server of this data directory lives already. Raises ServerUnavailable if
    there is no program or it ends by itself, and InvalidInput if the data directory cannot be used.
    """
    data_dir = DataDir.of(directory)
    data_dir.create()
    received: list[int] = []
    process: subprocess.Popen[bytes] | None = None

    def stop(signum: int, _frame: FrameType | None) -> None:
        received.append(signum)
        if process is not None:
            process.send_signal(signal.SIGTERM if len(received) == 1 else signal.SIGKILL)

    with _stop_signals_waking(stop) as wake:
        with server_lock(data_dir) as lock:
            if lock is None:
                raise Refused(f"a server of {data_dir.path} lives already: stop it with 'qwf server stop'")
            command = prepared_command(data_dir, maxmemory=maxmemory, detached=False)
            try:
                process = subprocess.Popen(  # noqa: S603 # a server program with a file of ours
                    command, **process_options(data_dir, lock)
                )
            except OSError as error:
                raise ServerUnavailable(f"{command[0]} does not run: {error}") from error
        if received:
            process.terminate()
        while (status := process.poll()) is None:
            # Not process.wait(): it would not notice a signal that comes just before it blocks.
            wake.recv(1)
    if received:
        saved = "its data is saved" if status == 0 else "what was written since the last save is lost"
        raise Interrupted(f"the server of {data_dir.path} was stopped; {saved}", received[0])
    if status != 0:
        raise ServerUnavailable(f"the server of {data_dir.path} ended with status {status}, see what it said")


@contextmanager
def _stop_signals_waking(handler: Callable[[int, FrameType | None], None]) -> Iterator[socket.socket]:
    """Handle the signals that stop by `handler`; the socket receives a byte for each, and when a child ends."""
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    with receiver, sender, stop_signals_handled(handler):
        previous_handler = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        previous_descriptor = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        try:
            yield receiver
        finally:
            signal.set_wakeup_fd(previous_descriptor)
            signal.signal(signal.SIGCHLD, previous_handler)
