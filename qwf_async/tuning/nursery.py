"""Where workers come from: a process that has imported all that they need, and forks them.

A worker that imports everything by itself takes 0.6 s of a core. Thirty of them would keep two cores busy for
nine seconds, and each would have 80 MB of its own.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NoReturn

import anyio

PROGRAM: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])\n"
    "from qwf_async.tuning.nursery import main; main(int(sys.argv[2]))"
)
"""A nursery with the modules that this process has, wherever they are."""

WANTED: Final = b"w"
"""What goes with the socket of a worker that is wanted."""


@dataclass(frozen=True, slots=True)
class Nursery:
    """Gives birth to workers. Made by `nursery_for_workers`."""

    _line: socket.socket

    async def worker(self) -> socket.socket:
        """Our side of the socket of a new worker."""
        ours, its = socket.socketpair()
        with its:
            await anyio.wait_writable(self._line)
            socket.send_fds(self._line, [WANTED], [its.fileno()])
        return ours


@asynccontextmanager
async def nursery_for_workers() -> AsyncIterator[Nursery]:
    """A nursery while the body runs. Its workers outlive it, until their sockets are closed."""
    ours, its = socket.socketpair()
    with ours:
        with its:
            process = await anyio.open_process(
                [sys.executable, "-c", PROGRAM, json.dumps(sys.path), str(its.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # what a source of the user prints
                stderr=None,
                pass_fds=(its.fileno(),),
                start_new_session=True,  # Ctrl-C is for the tuner, which lets its workers end in order
            )
        ours.setblocking(False)
        try:
            yield Nursery(ours)
        finally:
            ours.close()
            with anyio.CancelScope(shield=True):
                await process.wait()


def main(descriptor: int) -> NoReturn:
    """Fork a worker for each socket that arrives, until the other side is closed."""
    from .worker import serve

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they end
    with socket.socket(fileno=descriptor) as line:
        while True:
            _, descriptors, *_ = socket.recv_fds(line, 1, 1)
            if not descriptors:
                os._exit(0)
            sock = socket.socket(fileno=descriptors[0])
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                line.close()
                try:
                    serve(sock)
                except BaseException:  # noqa: BLE001 # the tuner sees that the worker is gone, and a reader why
                    traceback.print_exc()
                os._exit(0)  # a thread that still reads the source must not hold the process
            sock.close()
