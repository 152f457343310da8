"""Receiving into memory of the caller's: while replies are read as bytes, the kernel writes them where they belong.

A StreamReader copies what it receives: into bytes of its own, from there into its buffer, and out
of it again (measured with replies of 4 MiB: half of the time that reading takes). So for one exchange
the transport gets another protocol, whose buffer is the destination. asyncio and uvloop take such a
protocol (`BufferedProtocol`) also in the midst of a connection, and over TLS.
"""

from __future__ import annotations

from asyncio import BufferedProtocol, Future, Transport, WriteTransport, get_running_loop
from collections.abc import Callable
from typing import Any, cast


class Filling(BufferedProtocol):
    """Fills `into` with the bytes that come, as the protocol of a transport from `begin` to `end`.

    `came(start, stop)` is called with each piece as soon as it is there: False from it ends the
    filling. The transport's own protocol, to which it is given back, hears of all else meanwhile: when to
    pause writing, and that the connection has ended.
    """

    def __init__(self, transport: WriteTransport, into: memoryview, came: Callable[[int, int], bool]) -> None:
        self._transport = cast("Transport", transport)
        self._plain: Any = self._transport.get_protocol()
        self._into = into
        self._came = came
        self._got = 0
        self._spare = bytearray(1)
        self._done: Future[bool] = get_running_loop().create_future()
        self.has_rest = False
        """Whether more came than was to be filled."""

    def begin(self) -> None:
        """Take what comes from now on. Nothing that came before may be left with the transport's own protocol."""
        if self._transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        self._transport.set_protocol(self)
        if not self._into:
            self._complete()

    async def filled(self) -> bool:
        """Wait until all of it is filled, or `came` was False. Raises ConnectionResetError at the end of the stream."""
        return await self._done

    def end(self) -> None:
        """Give the transport back to its own protocol, whatever has happened. The memory is not touched any more."""
        if not self._done.cancel() and not self._done.cancelled():
            self._done.exception()  # so that asyncio does not say that nobody looked at it
        if self._transport.get_protocol() is self:
            self._transport.set_protocol(self._plain)

    def get_buffer(self, sizehint: int) -> memoryview:
        rest = self._into[self._got :]
        # Without room an event loop would take it for an error.
        return rest if rest and not self._done.done() else memoryview(self._spare)

    def buffer_updated(self, nbytes: int) -> None:
        start, stop = self._got, self._got + nbytes
        if self._done.done() or stop > len(self._into):
            self.has_rest = True
            return
        self._got = stop
        try:
            as_expected = self._came(start, stop)
        except Exception as error:  # noqa: BLE001 # it is raised where the task waits
            self._done.set_exception(error)
            return
        if not as_expected:
            self._done.set_result(False)
        elif stop == len(self._into):
            # Not at once: the loop first reads what else is there already, which must not come.
            get_running_loop().call_soon(self._complete)

    def _complete(self) -> None:
        if not self._done.done():
            self._done.set_result(True)

    def eof_received(self) -> Any:
        self._lose(None)
        return self._plain.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self._lose(error)
        self._plain.connection_lost(error)

    def pause_writing(self) -> None:
        self._plain.pause_writing()

    def resume_writing(self) -> None:
        self._plain.resume_writing()

    def _lose(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or ConnectionResetError("the server closed the connection"))
