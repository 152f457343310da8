"""Servers in the foreground, for `qwf server run` and for supervisors. Blocking."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from ..errors import Interrupted, Refused, ServerUnavailable
from ..host.signals import stop_signals_handled
from .data_dir import DataDir
from .launch import prepared_command, process_options
from .lock import server_lock
from .shards import settled_shards


def serve(directory: Path, *, shards: int | None = None, maxmemory: int | None = None) -> None:
    """Run the servers of a data directory, which log to standard output, until they end or a signal stops them.

    The first SIGINT, SIGTERM or SIGHUP lets all save and end, the second ends them at once. Either
    raises Interrupted. Returns if another process stopped them. If one ends by itself, the others
    save and end too. `shards` and `maxmemory` are as for `servers.ensure`. Only for the main thread.

    Raises Refused if a server of this data directory lives already. Raises ServerUnavailable if
    there is no program or one ends by itself, InvalidInput if the data directory cannot be used, and
    as `settled_shards` does.
    """
    places = [DataDir.of(place) for place in settled_shards(directory, shards)]
    received: list[int] = []
    processes: dict[DataDir, subprocess.Popen[bytes]] = {}

    def stop(signum: int, _frame: FrameType | None) -> None:
        received.append(signum)
        _send(signal.SIGTERM if len(received) == 1 else signal.SIGKILL, processes)

    with _stop_signals_waking(stop) as wake:
        try:
            _start(places, processes, maxmemory=maxmemory)
        except BaseException:
            _send(signal.SIGTERM, processes)
            _wait(processes, wake)
            raise
        if received:
            _send(signal.SIGTERM, processes)
        failed = _wait(processes, wake)
    if received:
        lost = [str(place.path) for place, process in processes.items() if process.returncode != 0]
        saved = (
            f"what was written to {' and '.join(lost)} since the last save is lost"
            if lost
            else "its data is saved"
        )
        raise Interrupted(f"the server of {DataDir.of(directory).path} was stopped; {saved}", received[0])
    if failed is not None:
        status = processes[failed].returncode
        raise ServerUnavailable(f"the server of {failed.path} ended with status {status}, see what it said")


def _start(
    places: Sequence[DataDir], processes: dict[DataDir, subprocess.Popen[bytes]], *, maxmemory: int | None
) -> None:
    """Start a server for each place, which inherits its lock, and add it to `processes`; none if one lives."""
    with ExitStack() as locks:
        held: dict[DataDir, int] = {}
        for place in places:
            place.create()
            lock = locks.enter_context(server_lock(place))
            if lock is None:
                raise Refused(f"a server of {place.path} lives already: stop it with 'qwf server stop'")
            held[place] = lock
        for place, lock in held.items():
            command = prepared_command(place, maxmemory=maxmemory, sharing=len(places), detached=False)
            try:
                processes[place] = subprocess.Popen(  # noqa: S603 # a server program with a file of ours
                    command, **process_options(place, lock)
                )
            except OSError as error:
                raise ServerUnavailable(f"{command[0]} does not run: {error}") from error


def _wait(processes: Mapping[DataDir, subprocess.Popen[bytes]], wake: socket.socket) -> DataDir | None:
    """Wait until all have ended; the first that ended otherwise than it was told, after which all are told to end."""
    failed: DataDir | None = None
    while True:
        statuses = {place: process.poll() for place, process in processes.items()}
        if failed is None:
            failed = next((place for place, status in statuses.items() if status), None)
            if failed is not None:
                _send(signal.SIGTERM, processes)
        if None not in statuses.values():
            return failed
        # Not process.wait(): it would not notice a signal that comes just before it blocks.
        wake.recv(1)


def _send(signum: int, processes: Mapping[DataDir, subprocess.Popen[bytes]]) -> None:
    for process in list(processes.values()):  # a copy: a signal can come while one is added
        process.send_signal(signum)


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
