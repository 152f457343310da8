"""The embedded server: found if it lives, started if it does not, stopped when asked.

It is told from others by the lock that it holds and by the data directory that it names
itself when asked on its socket, never by a process id in a file alone.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import anyio
from anyio.to_thread import run_sync

from ..client.retry import Retry
from ..errors import ServerUnavailable
from ..wording import option
from .data_dir import Place
from .launch import end_deaf_server, last_words, launch
from .lock import is_held
from .status import STOP_DEADLINE, Answer, Running, Status, ask, shutdown

__all__ = ["Running", "Status", "ensure", "running", "status", "stop"]

_START_STALL: Final = 10.0
"""Seconds that a server may neither listen nor report that it is loading: it takes 0.05."""

_STARTS: Final = 2
"""Servers that `ensure` starts at most: the first may be stopped by somebody else before it answers."""

_DEAF_AFTER: Final = 1.0
"""Seconds after which a live server without a socket will not get one any more."""


async def ensure(data_dir: Path, *, maxmemory: int | None = None) -> Running:
    """The server of a data directory, started if there is none; it stays when this process ends.

    Any number of processes may call this at once: one starts the server, all get it.
    `maxmemory` (bytes) applies only to a server that is started here; None means a share of
    the memory of the machine or its control group. Waits for as long as the server reports
    that it is loading its data. Raises InvalidInput if the data directory cannot be used,
    and ServerUnavailable if no server can be started, or one lives but does not answer.
    """
    place = await _place(data_dir)
    wait = _Wait(place, _START_STALL)
    starts = 0
    started = told = False
    while True:
        socket = await run_sync(_socket_of, place)
        answer = await ask(socket)
        if answer is not None:
            if await run_sync(_is_of, answer, place):
                if not answer.is_loading:
                    return answer.running(place.data_dir, socket, started=started)
                wait.renew(_START_STALL)
            elif answer.directory:
                raise ServerUnavailable(
                    f"the socket {socket} belongs to the server of {answer.directory}: stop that one first"
                )
            else:
                await shutdown(socket, save=False)  # its data directory was removed, and its data with it
        elif not started:
            started = await run_sync(partial(launch, place, maxmemory=maxmemory))
            if started:
                starts += 1
                wait.renew(_START_STALL)
            elif not told and wait.seconds > _DEAF_AFTER and await run_sync(end_deaf_server, place, socket):
                told = True
                wait.renew(STOP_DEADLINE)
        elif not await run_sync(is_held, place):
            if starts == _STARTS:
                words = await run_sync(last_words, place)
                raise ServerUnavailable(f"the server of {place.data_dir} ended before it answered: {words}")
            started = False
        await wait.turn()


async def running(data_dir: Path) -> Running | None:
    """The server of a data directory if it lives, else None. Waits and raises as `status` does."""
    state = await status(data_dir)
    return None if state is None else state.server


async def status(data_dir: Path) -> Status | None:
    """What the server of a data directory says about itself; None if none lives.

    Waits for one that is starting or loading. Raises InvalidInput if the data directory
    cannot be used, and ServerUnavailable if a server lives but does not answer.
    """
    place = await _place(data_dir)
    wait = _Wait(place, _START_STALL)
    while True:
        socket = await run_sync(_socket_of, place)
        answer = await ask(socket)
        if answer is not None and await run_sync(_is_of, answer, place):
            if not answer.is_loading:
                return answer.status(place.data_dir, socket)
            wait.renew(_START_STALL)
        elif not await run_sync(is_held, place):
            return None
        await wait.turn()


async def stop(data_dir: Path) -> bool:
    """Let the server of a data directory save its data and end; whether there was one.

    Returns when its process is gone. Raises ServerUnavailable if it cannot save (it lives
    on, with its data), or does not end in time.
    """
    place = await _place(data_dir)
    wait = _Wait(place, STOP_DEADLINE)
    ended: int | None = None
    told = False
    while True:
        socket = await run_sync(_socket_of, place)
        answer = await ask(socket, stall_timeout=STOP_DEADLINE)
        ours = answer is not None and await run_sync(_is_of, answer, place)
        if answer is not None and (ours or not answer.directory):
            if ended not in (None, answer.pid):
                return True  # somebody else has started another one since
            if not await shutdown(socket, save=ours):
                words = await run_sync(last_words, place)
                raise ServerUnavailable(f"the server of {place.data_dir} cannot save and lives on: {words}")
            ended = answer.pid
        elif not await run_sync(is_held, place):
            return told or ended is not None
        elif not told and wait.seconds > _DEAF_AFTER:
            told = await run_sync(end_deaf_server, place, socket)
        await wait.turn()


@dataclass(slots=True)
class _Wait:
    """Turns of waiting, ever longer ones up to 0.1 s, until nothing has happened for `stall` seconds."""

    place: Place
    stall: float
    begun: float = field(default_factory=anyio.current_time)
    turns: int = 0
    _renewed: float = field(default_factory=anyio.current_time)

    @property
    def seconds(self) -> float:
        return anyio.current_time() - self.begun

    def renew(self, stall: float) -> None:
        """Something happened, and the next may take `stall` seconds."""
        self.stall, self._renewed = stall, anyio.current_time()

    async def turn(self) -> None:
        self.turns += 1
        retry = Retry(deadline=self.stall, base=0.005, cap=0.1)
        pause = retry.pause(self.turns, anyio.current_time() - self._renewed)
        if pause is None:
            raise await run_sync(_unheard, self.place)
        await anyio.sleep(pause)


def _unheard(place: Place) -> ServerUnavailable:
    record = place.record()
    if record is not None and record.is_elsewhere:
        return ServerUnavailable(
            f"the server of {place.data_dir} lives on {record.host} and can only be reached there: "
            f"stop it there, or choose another {option('data_dir')} here"
        )
    return ServerUnavailable(
        f"the server of {place.data_dir} lives but does not answer: see {place.log}, "
        "or end it with 'qwf server stop'"
    )


async def _place(data_dir: Path) -> Place:
    if sys.platform == "win32":
        raise ServerUnavailable(f"there is no embedded server on Windows: name a server with {option('url')}")
    return await run_sync(Place.of, data_dir)


def _is_of(answer: Answer, place: Place) -> bool:
    """Whether a server is that of this data directory. One whose directory was removed names none."""
    return place.holds(answer.directory) if answer.directory else is_held(place)


def _socket_of(place: Place) -> Path:
    """Where a server of this data directory listens: where it was told to, whatever our environment says."""
    record = place.record()
    return place.socket if record is None else record.socket
