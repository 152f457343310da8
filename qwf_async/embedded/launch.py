"""A server program started in the background, at most one for a data directory, and ended by signal. Blocking."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from ..errors import ServerUnavailable
from .allocator import VARIABLE, server_environment
from .binary import find_binary
from .configuration import configuration_text, default_maxmemory, server_configuration
from .data_dir import DataDir
from .lock import server_lock
from .machine import memory_bytes

_LAUNCH_DEADLINE: Final = 30.0
"""Seconds until a server program has read its configuration and gone to the background: it takes 0.03."""


def launch(data_dir: DataDir, *, maxmemory: int | None, sharing: int = 1) -> bool:
    """Start a detached server unless one lives or is being started; True if it was started.

    The server has a session of its own and holds the lock; it may not answer yet. `maxmemory`
    is in bytes and for as many servers as are `sharing` it; None means a share of the machine's memory.
    Raises InvalidInput if the data directory cannot be used, and ServerUnavailable if there is no
    program or it refuses to run.
    """
    data_dir.create()
    with server_lock(data_dir) as lock:
        if lock is None:
            return False
        command = prepared_command(data_dir, maxmemory=maxmemory, sharing=sharing, detached=True)
        try:
            # The server forks by itself (daemonize), so that it never becomes a zombie of this process.
            start = subprocess.run(  # noqa: S603 # a server program with a file of ours
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_LAUNCH_DEADLINE,
                check=False,
                **process_options(data_dir, lock),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ServerUnavailable(f"{command[0]} does not run: {error}") from error
    if start.returncode != 0:
        output = " ".join(start.stdout.decode(errors="replace").split())
        raise ServerUnavailable(f"{command[0]} refused to start: {output or f'status {start.returncode}'}")
    return True


def prepared_command(
    data_dir: DataDir, *, maxmemory: int | None, sharing: int = 1, detached: bool
) -> list[str]:
    """The command that starts a server, after its directories and its configuration file were made ready.

    Only for the holder of the lock. Raises as `launch` does.
    """
    binary = find_binary()
    if maxmemory is None:
        maxmemory = default_maxmemory(memory_bytes())
    data_dir.prepare(tunables=server_environment().get(VARIABLE, ""))
    directives = server_configuration(maxmemory=maxmemory // sharing, data_dir=data_dir, detached=detached)
    data_dir.write(data_dir.configuration_file, configuration_text(directives))
    return [str(binary), str(data_dir.configuration_file)]


def process_options(data_dir: DataDir, lock: int) -> dict[str, Any]:
    """The options of `subprocess` for a server program, which inherits the lock.

    It has a session of its own: in ours Ctrl-C would reach it twice, from here and from the terminal.
    """
    return {
        "stdin": subprocess.DEVNULL,
        "cwd": data_dir.path,
        "env": server_environment(),
        "pass_fds": (lock,),
        "umask": 0o077,
        "start_new_session": True,
    }


def log_warnings(data_dir: DataDir) -> str:
    """The warnings at the end of a server's log, which say why it ended, and the path of the log.

    Advice on the settings of the system, which the servers mark WARNING, is left out.
    """
    try:
        with data_dir.log_file.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        text = ""
    lines = re.findall(r"^\d+:\w \S+ \S+ \S+ \S+ ([#*.-]) (.+)$", text, re.MULTILINE)
    last = [text for _, text in takewhile(lambda line: line[0] == "#", reversed(lines))]
    warnings = [text for text in reversed(last) if not text.startswith(("WARNING", "Server initialized"))]
    return f"{'; '.join(warnings) or 'nothing was logged of the reason'} (log: {data_dir.log_file})"


def end_unreachable_server(data_dir: DataDir, socket: Path) -> bool:
    """Tell a server whose socket was removed while it lives to save and end; True if there was one.

    A server can outlive the session of its user: the runtime directory with the socket is emptied
    at the end of the session. Raises ServerUnavailable if the server is another user's.
    """
    try:
        pid = int(data_dir.pid_file.read_text())
    except (OSError, ValueError):
        return False
    if os.path.lexists(socket):
        return False
    # A container that shares the data directory has process ids of its own: this one may be another process.
    if os.path.isdir("/proc/self") and not data_dir.is_same_as(f"/proc/{pid}/cwd"):
        return False
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise ServerUnavailable(
            f"the server of {data_dir.path} is another user's (process {pid}) and has lost its socket"
        ) from error
    return True
