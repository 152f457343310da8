"""Starting a server program in the background, never two for one data directory. Blocking."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from itertools import takewhile
from pathlib import Path
from typing import Final

from ..errors import ServerUnavailable
from .binary import find_binary
from .configuration import configuration_text, default_maxmemory, server_configuration
from .data_dir import Place
from .lock import server_lock
from .machine import memory_bytes

_LAUNCH_DEADLINE: Final = 30.0
"""Seconds until a server program has read its configuration and gone to the background: it takes 0.03."""


def launch(place: Place, *, maxmemory: int | None) -> bool:
    """Start a detached server unless one lives or is being started; whether it was started.

    It has a session of its own, holds the lock, and need not answer yet. `maxmemory` is in
    bytes; None means a share of the machine's. Raises InvalidInput if the data directory
    cannot be used, and ServerUnavailable if there is no program or it refuses to run.
    """
    place.create()
    with server_lock(place) as lock:
        if lock is None:
            return False
        command = prepare(place, maxmemory=maxmemory, detached=True)
        try:
            # It forks by itself (daemonize): no zombie is left to us.
            done = subprocess.run(  # noqa: S603 # a server program with a file of ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=place.data_dir,
                pass_fds=(lock,),
                umask=0o077,
                start_new_session=True,
                timeout=_LAUNCH_DEADLINE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ServerUnavailable(f"{command[0]} does not run: {error}") from error
    if done.returncode != 0:
        said = " ".join(done.stdout.decode(errors="replace").split())
        raise ServerUnavailable(f"{command[0]} refused to start: {said or f'status {done.returncode}'}")
    return True


def prepare(place: Place, *, maxmemory: int | None, detached: bool) -> list[str]:
    """Make everything ready for a server and return the command that starts it.

    Only for the holder of the lock. Raises as `launch` does.
    """
    binary = find_binary()
    if maxmemory is None:
        maxmemory = default_maxmemory(memory_bytes())
    place.prepare()
    settings = server_configuration(maxmemory=maxmemory, place=place, detached=detached)
    place.write(place.configuration, configuration_text(settings))
    return [str(binary), str(place.configuration)]


def last_words(place: Place) -> str:
    """The warnings that end a server's log, which say why it ended, and where that log is.

    Left out is advice on the system's settings, which the servers mark WARNING.
    """
    try:
        with place.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        text = ""
    lines = re.findall(r"^\d+:\w \S+ \S+ \S+ \S+ ([#*.-]) (.+)$", text, re.MULTILINE)
    last = [said for _, said in takewhile(lambda line: line[0] == "#", reversed(lines))]
    words = [said for said in reversed(last) if not said.startswith(("WARNING", "Server initialized"))]
    return f"{'; '.join(words) or 'nothing was logged of the reason'} (log: {place.log})"


def end_deaf_server(place: Place, socket: Path) -> bool:
    """Tell a server whose socket was removed while it lives to save and end; whether there was one.

    That is what becomes of a server that outlives its user's session: the runtime directory
    is emptied at the end of it. Raises ServerUnavailable if the server is another user's.
    """
    try:
        pid = int(place.pidfile.read_text())
    except (OSError, ValueError):
        return False
    if os.path.lexists(socket):
        return False
    # A container that shares the data directory has process ids of its own: be sure whom we mean.
    if os.path.isdir("/proc/self") and not place.holds(f"/proc/{pid}/cwd"):
        return False
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise ServerUnavailable(
            f"the server of {place.data_dir} is another user's (process {pid}) and has lost its socket"
        ) from error
    return True
