"""The time that a host name may take to be resolved: the system's resolver knows no timeout.

Where the network is away, so is often the server of names, and to ask it takes 10 s and more. So a
name is first looked up by a thread, which can be left behind.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import ip_address
from threading import Thread

_KNOWN = ("", "localhost")


class Name:
    """The name of a host, which is looked up by one thread at a time. An address needs none."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._is_known = host in _KNOWN or _is_address(host)
        self._looking: Thread | None = None

    def check(self, seconds: float) -> None:
        """Return once the name is resolved, or cannot be. Raises TimeoutError if that takes longer."""
        if self._is_known:
            return
        if self._looking is None or not self._looking.is_alive():
            self._looking = Thread(target=_look_up, args=(self._host,), daemon=True, name="qwf-host-name")
            self._looking.start()
        self._looking.join(seconds)
        if self._looking.is_alive():
            raise TimeoutError("the host name was not resolved in time")


def _look_up(host: str) -> None:
    with suppress(OSError, UnicodeError):  # whoever connects then gets the same error
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
