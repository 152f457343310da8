"""A relay that keeps what a client sent, and delivers it to the server long after the client is gone."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.conftest import PATIENCE, Server


@dataclass(slots=True, kw_only=True)
class _Line:
    client: socket.socket
    server: socket.socket
    kept: bytes = b""
    keeps: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class Holder:
    """Made by `holding`. Once one of the words that it `keeps` comes over a connection, nothing more is passed on."""

    target: str
    listener: socket.socket
    keeps: tuple[bytes, ...] = ()
    keeping: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    _lines: list[_Line] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.listener.getsockname()[1]}"

    def wait(self) -> None:
        """Return when something is kept."""
        assert self.keeping.wait(PATIENCE)

    def deliver(self) -> None:
        """Deliver what was kept to the server, and wait until the server has answered it."""
        for line in self._lines:
            if line.kept:
                with suppress(OSError):
                    line.server.sendall(line.kept)
                    line.server.shutdown(socket.SHUT_WR)
                    while line.server.recv(65_536):  # until the server closes it
                        pass

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.target)
            line = _Line(client=client, server=server)
            self._lines.append(line)
            thread = threading.Thread(target=self._pass_on, args=(line,))
            self._threads.append(thread)
            thread.start()

    def _pass_on(self, line: _Line) -> None:
        with suppress(OSError):
            while not self.ended.is_set():
                watched = [line.client] if line.keeps else [line.client, line.server]
                ready, _, _ = select.select(watched, [], [], 0.02)
                if line.client in ready:
                    data = line.client.recv(1 << 20)
                    if not data:
                        break
                    line.keeps = line.keeps or any(word in data for word in self.keeps)
                    if line.keeps:
                        line.kept += data
                        self.keeping.set()
                    else:
                        line.server.sendall(data)
                if line.server in ready:
                    data = line.server.recv(1 << 20)
                    if not data:
                        break
                    line.client.sendall(data)
        line.client.close()
        if not line.keeps:
            line.server.close()

    def end(self) -> None:
        self.ended.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self._threads:
            thread.join()
        for line in self._lines:
            line.client.close()
            line.server.close()


@contextmanager
def holding(server: Server) -> Iterator[Holder]:
    """A holder in front of a server, which ends with the body."""
    holder = Holder(target=str(server.socket), listener=socket.create_server(("127.0.0.1", 0)))
    thread = threading.Thread(target=holder.serve)
    thread.start()
    try:
        yield holder
    finally:
        holder.end()
        thread.join()
