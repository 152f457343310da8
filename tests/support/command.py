"""The command line as real processes: run to their end, begun and left to a signal, or on a terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import qwf_async

from .forked import Forked, can_be_forked, fork

ROOT = Path(qwf_async.__file__).parents[1]
TIMEOUT = 110.0
"""Seconds after which a process counts as hanging: less than a test may take, for its words to be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a process ended. `status` is as a shell has it: 128 + the number of the signal that killed it."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it said on standard error."""
        return self.err.splitlines()

    @property
    def never_began(self) -> bool:
        """Whether a Ctrl-C ended it while Python itself started, or before `main` had let go of Python's handler.

        Python says so in its own way, and may exit with 1.
        """
        return "Traceback" in self.err and "qwf_async/cli/app.py" not in self.err


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A process under way; `since` is when it began, on the monotonic clock. Killed at the end of a `with`."""

    process: subprocess.Popen[bytes] | Forked
    since: float
    _heard: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def await_said(self, text: str) -> str:
        """All that it has written to standard error, when this is in it."""
        assert self.process.stderr is not None
        while text.encode() not in b"".join(self._heard):
            ready, _, _ = select.select([self.process.stderr], [], [], TIMEOUT)
            some = os.read(self.process.stderr.fileno(), 65_536) if ready else b""
            assert some, f"it did not say {text!r}, but {self._heard}"
            self._heard.append(some)
        return b"".join(self._heard).decode()

    def end(self, timeout: float = TIMEOUT) -> Outcome:
        """Wait for it, and kill it if it takes too long: its outcome is then 137."""
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
        said = b"".join([*self._heard, err])
        return Outcome(status=_as_shell(self.process.wait()), out=out.decode(), err=said.decode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """Where commands run: a directory of their own, and an environment without the user's settings."""

    directory: Path
    environment: Mapping[str, str]

    @classmethod
    def at(cls, directory: Path, **variables: str) -> Shell:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("QWF_", "REDIS_", "COV_", "PYTHON")) and name not in ("NO_COLOR", "TERM")
        }
        home = {name: str(directory / name.lower()) for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME")}
        environment = inherited | home | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color"} | variables
        return cls(directory=directory, environment=environment)

    def having(self, **variables: str) -> Shell:
        return Shell(directory=self.directory, environment={**self.environment, **variables})

    def begin_anew(self, *arguments: str) -> Begun:
        """`qwf ARGUMENTS`, as a process without a terminal; Python starts for it."""
        return self.start([sys.executable, "-m", "qwf_async", *arguments])

    def begin(self, *arguments: str) -> Begun:
        """As `begin_anew`, but forked if that makes no difference: see forked.py."""
        if not can_be_forked(self.environment):
            return self.begin_anew(*arguments)
        since = time.monotonic()
        out, err = os.pipe(), os.pipe()
        with open(os.devnull) as nothing:
            process = fork(arguments, self.environment, self.directory, (nothing.fileno(), out[1], err[1]))
        os.close(out[1])
        os.close(err[1])
        process.stdout, process.stderr = os.fdopen(out[0], "rb"), os.fdopen(err[0], "rb")
        return Begun(process=process, since=since)

    def qwf(self, *arguments: str, timeout: float = TIMEOUT) -> Outcome:
        """`qwf ARGUMENTS`, to its end."""
        with self.begin(*arguments) as begun:
            return begun.end(timeout)

    def each(self, *commands: Sequence[str]) -> list[Outcome]:
        """`qwf ARGUMENTS` for each of these in turn."""
        return [self.qwf(*arguments) for arguments in commands]

    def several(self, commands: Iterable[tuple[Sequence[str], Mapping[str, str]]]) -> list[Outcome]:
        """As `each`, with variables of their own."""
        return [self.having(**variables).qwf(*arguments) for arguments, variables in commands]

    def start(self, command: Sequence[str]) -> Begun:
        since = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=self.directory,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        return Begun(process=process, since=since)

    def on_terminal(
        self, *arguments: str, stop: int | None = None, after: str = "", typed: str = ""
    ) -> tuple[int, str]:
        """`qwf ARGUMENTS` on a terminal of 120 columns: its status, and all that is seen there.

        With `stop`, that signal is sent as soon as `after` was written. `typed` is typed ahead.
        """
        ours, theirs = pty.openpty()
        os.write(ours, typed.encode())
        termios.tcsetwinsize(theirs, (40, 120))
        process = fork(arguments, self.environment, self.directory, (theirs,) * 3)
        os.close(theirs)
        written = b""
        try:
            while some := _read(ours):
                written += some
                if stop is not None and after.encode() in written:
                    process.send_signal(stop)
                    stop = None
            status = process.wait(TIMEOUT)
        finally:
            os.close(ours)
            process.kill()
            process.wait()
        return _as_shell(status), written.decode()


def _as_shell(status: int) -> int:
    return 128 - status if status < 0 else status


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # Linux: EIO once the last process has closed its end
        return b""


def is_alive(pid: int) -> bool:
    """Whether there is such a process, a zombie not counted."""
    try:
        os.kill(pid, signal.SIG_DFL)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state not in "ZX"
