"""One server of a data directory: found if it lives, started if it does not, stopped when asked.

A server is recognised by the lock that it holds, and by the data directory that it names when
it is asked on its socket. A process id in a file alone proves nothing.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Final

import anyio
from anyio.to_thread import run_sync

from ..client.retry import Retry
from ..errors import ServerUnavailable
from ..wording import option
from .allocator import allocator_of
from .data_dir import DataDir
from .launch import end_unreachable_server, launch, log_warnings
from .lock import is_held
from .status import (
    ANSWER_STALL,
    STOP_DEADLINE,
    InfoAnswer,
    RunningServer,
    ServerStatus,
    ask_info,
    send_shutdown,
)

_START_STALL: Final = 10.0
"""Seconds that a server may neither listen nor report that it is loading: it takes 0.05."""

_MAX_STARTS: Final = 2
"""Servers that `ensure` starts: the first may be stopped by another process before it answers."""

_UNREACHABLE_AFTER: Final = 1.0
"""Seconds after which a live server without a socket will not get one any more."""


async def ensure(directory: Path, *, maxmemory: int | None = None, sharing: int = 1) -> RunningServer:
    """The server of a data directory, started if there is none; it stays when this process ends.

    Any number of processes may call this at once: one starts the server, all get it.
    `maxmemory` (bytes) applies only to a server that is started here; None means a share of
    the memory of the machine or its control group. It is for as many servers as are `sharing` it.
    Waits for as long as the server reports that it is loading its data.

    Raises InvalidInput if the data directory cannot be used. Raises ServerUnavailable if no
    server can be started, or one lives but does not answer.
    """
    data_dir = await _data_dir(directory)
    wait = _Wait(data_dir, _START_STALL)
    starts = 0
    launched = ended = False
    while True:
        socket, listener = await _look(data_dir)
        if listener is not None:
            match listener.owner:
                case _Owner.OURS if not listener.answer.is_loading:
                    return listener.answer.running(data_dir.path, socket, started=launched)
                case _Owner.OURS:
                    wait.renew(_START_STALL)
                case _Owner.ANOTHER:
                    raise ServerUnavailable(
                        f"the socket {socket} belongs to the server of {listener.answer.directory}: "
                        "stop that one first"
                    )
                case _Owner.REMOVED:
                    await send_shutdown(socket, save=False)  # its data was removed with its directory
        elif not launched:
            launched = await run_sync(partial(launch, data_dir, maxmemory=maxmemory, sharing=sharing))
            if launched:
                starts += 1
                wait.renew(_START_STALL)
            elif not ended and await _end_unreachable(data_dir, socket, wait):
                ended = True
                wait.renew(STOP_DEADLINE)
        elif not await run_sync(is_held, data_dir):  # the server that was started here is gone again
            if starts == _MAX_STARTS:
                warnings = await run_sync(log_warnings, data_dir)
                raise ServerUnavailable(f"the server of {data_dir.path} ended before it answered: {warnings}")
            launched = False
        await wait.turn()


async def status(directory: Path) -> ServerStatus | None:
    """The status of the server of a data directory; None if none lives.

    Waits for one that is starting or loading. Raises InvalidInput if the data directory
    cannot be used, and ServerUnavailable if a server lives but does not answer.
    """
    data_dir = await _data_dir(directory)
    wait = _Wait(data_dir, _START_STALL)
    while True:
        socket, listener = await _look(data_dir)
        if listener is not None and listener.owner is _Owner.OURS:
            if not listener.answer.is_loading:
                answer = listener.answer
                said = answer.entries["mem_allocator"]
                look = partial(allocator_of, data_dir, pid=answer.pid, said=said)
                return answer.status(data_dir.path, socket, await run_sync(look))
            wait.renew(_START_STALL)
        elif not await run_sync(is_held, data_dir):
            return None
        await wait.turn()


async def stop(directory: Path, *, save: bool = True) -> bool:
    """Let the server of a data directory save its data, unless told not to, and end; True if there was one.

    Returns when its process is gone. Raises ServerUnavailable if it cannot save (it lives
    on, with its data), or does not end in time.
    """
    data_dir = await _data_dir(directory)
    wait = _Wait(data_dir, STOP_DEADLINE)
    stopped_pid: int | None = None
    ended = False
    while True:
        socket, listener = await _look(data_dir, stall_timeout=STOP_DEADLINE)
        if listener is not None and listener.owner is not _Owner.ANOTHER:
            if stopped_pid not in (None, listener.answer.pid):
                return True  # another process has started a new one since
            if not await send_shutdown(socket, save=save and listener.owner is _Owner.OURS):
                warnings = await run_sync(log_warnings, data_dir)
                raise ServerUnavailable(f"the server of {data_dir.path} cannot save and lives on: {warnings}")
            stopped_pid = listener.answer.pid
        elif not await run_sync(is_held, data_dir):
            return ended or stopped_pid is not None
        elif not ended:
            ended = await _end_unreachable(data_dir, socket, wait)
        await wait.turn()


class _Owner(Enum):
    """The data directory that a server on our socket belongs to."""

    OURS = auto()
    ANOTHER = auto()
    REMOVED = auto()
    """A data directory that was removed while the server lived."""


@dataclass(frozen=True, slots=True)
class _Listener:
    """The server that listens on the socket of a data directory."""

    answer: InfoAnswer
    owner: _Owner


async def _look(data_dir: DataDir, *, stall_timeout: float = ANSWER_STALL) -> tuple[Path, _Listener | None]:
    """The socket of a data directory, and the server that answers there. Raises as `ask_info`."""
    socket = await run_sync(_socket_of, data_dir)
    answer = await ask_info(socket, stall_timeout=stall_timeout)
    if answer is None:
        return socket, None
    return socket, _Listener(answer, await run_sync(_owner, answer, data_dir))


def _owner(answer: InfoAnswer, data_dir: DataDir) -> _Owner:
    """Whose server gave this answer. A server whose directory was removed names none, but may hold our lock."""
    if not answer.directory:
        return _Owner.OURS if is_held(data_dir) else _Owner.REMOVED
    return _Owner.OURS if data_dir.is_same_as(answer.directory) else _Owner.ANOTHER


def _socket_of(data_dir: DataDir) -> Path:
    """The socket on which a server of this data directory listens, whatever the environment of this process says."""
    record = data_dir.start_record()
    return data_dir.socket if record is None else record.socket


async def _end_unreachable(data_dir: DataDir, socket: Path, wait: _Wait) -> bool:
    """True if a live server was told to end because its socket was removed. Nothing is done in the first second."""
    return wait.seconds > _UNREACHABLE_AFTER and await run_sync(end_unreachable_server, data_dir, socket)


@dataclass(slots=True)
class _Wait:
    """Pauses between looks, ever longer ones up to 0.1 s, until nothing has happened for `stall` seconds."""

    data_dir: DataDir
    stall: float
    begun: float = field(default_factory=anyio.current_time)
    turns: int = 0
    _renewed: float = field(default_factory=anyio.current_time)

    @property
    def seconds(self) -> float:
        """Seconds since the first look."""
        return anyio.current_time() - self.begun

    def renew(self, stall: float) -> None:
        """Something happened, and the next event may take `stall` seconds."""
        self.stall, self._renewed = stall, anyio.current_time()

    async def turn(self) -> None:
        """Pause. Raises ServerUnavailable if nothing has happened for too long."""
        self.turns += 1
        retry = Retry(deadline=self.stall, base=0.005, cap=0.1)
        pause = retry.pause(self.turns, anyio.current_time() - self._renewed)
        if pause is None:
            raise await run_sync(_no_answer, self.data_dir)
        await anyio.sleep(pause)


def _no_answer(data_dir: DataDir) -> ServerUnavailable:
    record = data_dir.start_record()
    if record is not None and record.is_elsewhere:
        return ServerUnavailable(
            f"the server of {data_dir.path} lives on {record.host} and can only be reached there: "
            f"stop it there, or choose another {option('data_dir')} here"
        )
    return ServerUnavailable(
        f"the server of {data_dir.path} lives but does not answer: see {data_dir.log_file}, "
        "or end it with 'qwf server stop'"
    )


def check_platform() -> None:
    """Raises ServerUnavailable on a system that has no embedded server."""
    if sys.platform == "win32":
        raise ServerUnavailable(f"there is no embedded server on Windows: name a server with {option('url')}")


async def _data_dir(directory: Path) -> DataDir:
    check_platform()
    return await run_sync(DataDir.of, directory)
