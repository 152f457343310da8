"""`qwf` commands without the time that Python and its imports take: each is forked from a process that has them.

That process is started when it is first needed, and ends with the process that started it. It is asked over a
unix socket: for arguments, environment, directory and streams. The answer is the exit status.
"""

from __future__ import annotations

import atexit
import gc
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Final, NoReturn

import qwf_async
from qwf_async.cli import command_line

REQUEST_BYTES: Final = 1 << 20
"""Bytes of a request, at most: the environment is most of it."""

STATUS_BYTES: Final = 8
"""Bytes of each of the two replies: the process id, and when it has ended the exit status."""

READ_EARLY: Final = ("PYTHON", "LANG", "LC_", "FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TERMINAL_WIDTH")
"""How variables begin that Python reads as it starts, or a module as it is imported."""

IMPORTED: Final = (
    *("anyio._backends._asyncio", "numpy.fft", "numpy.ma", "platformdirs.unix", "redis.asyncio"),
    *("typer.rich_utils", "uvloop", "qwf_async.cli.app", "qwf_async.cli.progress"),
    *("qwf_async.exporting.export_file", "qwf_async.ingesting.ingestion", "qwf_async.ingesting.verification"),
)
"""What many commands import, beside the public names."""

PROGRAM: Final = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect("\\0{name}")
    request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    line.sendall(len(request).to_bytes(4, "big"))
    socket.send_fds(line, [b"3"], [0, 1, 2])
    line.sendall(request)
    line.recv({bytes})
    sys.exit(int(line.recv({bytes}) or b"1"))
"""


def write_program(path: Path) -> None:
    """Write a program that does what `qwf` does: it hands all that it is given to the process that forks."""
    path.write_text(PROGRAM.format(python=sys.executable, bytes=STATUS_BYTES, name=_forking()))
    path.chmod(0o755)


def can_be_forked(environment: Mapping[str, str]) -> bool:
    """Whether a command in this environment behaves as one that is started: not if what is READ_EARLY differs."""
    ours = _without_python(os.environ)
    return all(
        ours.get(name) == environment.get(name)
        for name in {*ours, *environment} - {"PYTHONPATH"}
        if name.startswith(READ_EARLY)
    )


@dataclass(slots=True, kw_only=True)
class Forked:
    """A command that was forked. It offers what tests ask of a process of Popen, under the same names."""

    pid: int
    returncode: int | None = None
    stdout: IO[bytes] | None = None
    stderr: IO[bytes] | None = None
    _line: socket.socket

    def wait(self, timeout: float | None = None) -> int:
        """Its status, as Popen has it. Raises TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._line], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("qwf", timeout or 0)
            self.returncode = int(self._line.recv(STATUS_BYTES))
            self._line.close()
        return self.returncode

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """What is left of what it writes, when it has ended. Raises TimeoutExpired."""
        end = None if timeout is None else time.monotonic() + timeout
        written: dict[IO[bytes] | None, bytes] = {self.stdout: b"", self.stderr: b""}
        waiting = [stream for stream in (self.stdout, self.stderr) if stream and not stream.closed]
        while waiting:
            left = None if end is None else max(0.0, end - time.monotonic())
            ready = select.select(waiting, [], [], left)[0]
            if not ready:
                raise subprocess.TimeoutExpired("qwf", timeout or 0)
            for stream in ready:
                if some := os.read(stream.fileno(), 1 << 16):
                    written[stream] += some
                else:
                    stream.close()
                    waiting.remove(stream)
        self.wait(None if end is None else max(0.0, end - time.monotonic()))
        return written[self.stdout], written[self.stderr]


def fork(
    arguments: Sequence[str], environment: Mapping[str, str], directory: Path, streams: Sequence[int]
) -> Forked:
    """Begin `qwf ARGUMENTS`; `streams` are the descriptors of its standard input, output and error."""
    request = json.dumps([list(arguments), str(directory), dict(environment)]).encode()
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(f"\0{_forking()}")
        line.sendall(len(request).to_bytes(4, "big"))
        socket.send_fds(line, [b"3"], list(streams))
        line.sendall(request)
        return Forked(pid=int(line.recv(STATUS_BYTES)), _line=line)
    except BaseException:
        line.close()
        raise


@cache
def _forking() -> str:
    """The name, in the abstract namespace, of the socket of the process that forks."""
    with socket.socket(socket.AF_UNIX) as listener:
        name = f"qwf-tests-{os.getpid()}"
        listener.bind(f"\0{name}")
        listener.listen()
        # It ends when the last process that holds the other end of its standard input has ended.
        process = subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno())],
            env={**_without_python(os.environ), "PYTHONPATH": str(Path(qwf_async.__file__).parents[1])},
            pass_fds=(listener.fileno(),),
            stdin=subprocess.PIPE,
        )
    atexit.register(_end, process)
    return name


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait()


def _without_python(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith("PYTHON")}


def serve(listener: socket.socket) -> None:
    """Answer requests, each in a process of its own, until standard input ends."""
    for module in IMPORTED:
        import_module(module)
    for name in qwf_async.__all__:  # the public names are imported when they are asked for
        getattr(qwf_async, name)
    from qwf_async.cli.app import app
    from qwf_async.cli.commands import deferred

    for command in deferred().values():
        command.load()
    with redirect_stdout(io.StringIO()):
        app(["--version"], standalone_mode=False)  # what typer imports when it runs
    gc.freeze()  # no page of what is there is copied because a collector looks at it
    while listener in select.select([listener, sys.stdin], [], [])[0]:
        line, _ = listener.accept()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if os.fork() == 0:
            listener.close()
            _answer(line)
            os._exit(0)
        line.close()


def _answer(line: socket.socket) -> None:
    """Run the command that is asked for, and say its process id and its exit status."""
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
        _exit_with(command_line)
    for stream in streams:
        os.close(stream)
    line.send(f"{child:{STATUS_BYTES}}".encode())
    line.send(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):{STATUS_BYTES}}".encode())


def _exit_with(job: Callable[[], None]) -> NoReturn:
    """Do this, and end as Python does, but leave the modules as they are: to take them down takes its time."""
    status: str | int | None = 0
    try:
        job()
    except SystemExit as ended:
        status = ended.code
    gc.collect()  # what was not closed or awaited says so
    if threading.active_count() > 1 or not isinstance(status, int | None):
        sys.exit(status)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
