"""`qwf` commands without the time that Python and its imports take: each is forked from a process that has them.

`swift_qwf` starts that process, and writes a program `qwf` that hands it arguments, environment,
directory and streams, and exits with the status of the command.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Final, NoReturn

import qwf_async

REQUEST_BYTES: Final = 1 << 20
"""Bytes of a request, at most: the environment is most of it."""

PROGRAM: Final = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({path!r})
    request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    line.sendall(len(request).to_bytes(4, "big"))
    socket.send_fds(line, [b"3"], [0, 1, 2])
    line.sendall(request)
    sys.exit(int(line.recv(8) or b"1"))
"""


@contextmanager
def swift_qwf(program: Path, path: Path, environment: dict[str, str]) -> Iterator[None]:
    """Within this, `program` is `qwf`; it speaks to its server over the unix socket `path`."""
    program.write_text(PROGRAM.format(python=sys.executable, path=str(path)))
    program.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.swift", str(listener.fileno())],
            env=environment,
            pass_fds=(listener.fileno(),),
            stdin=subprocess.DEVNULL,
        )
    try:
        yield
    finally:
        server.kill()
        server.wait()


def serve(listener: socket.socket) -> NoReturn:
    """Answer requests for ever, each in a process of its own."""
    for module in ("qwf_async.cli.app", "redis.asyncio", "typer.rich_utils", "uvloop"):
        import_module(module)
    for name in qwf_async.__all__:  # the public names are imported when they are asked for
        getattr(qwf_async, name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they end
    while True:
        line, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            line.sendall(str(_status_of(line)).encode())
            os._exit(0)
        line.close()


def _status_of(line: socket.socket) -> int:
    """Run the command that is asked for, and return its exit status."""
    size = int.from_bytes(line.recv(4, socket.MSG_WAITALL), "big")
    assert size <= REQUEST_BYTES
    _, streams, *_ = socket.recv_fds(line, 1, 3)
    arguments, directory, environment = json.loads(line.recv(size, socket.MSG_WAITALL))
    child = os.fork()
    if child == 0:
        line.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[0] = directory  # as with `python -m qwf_async`
        sys.argv = ["qwf", *arguments]
        from qwf_async.cli import main

        main()
        sys.exit()
    for stream in streams:
        os.close(stream)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
