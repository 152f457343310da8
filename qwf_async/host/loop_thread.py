"""An event loop in a thread of its own, for code that is not asynchronous.

It works the same from any thread, also from one whose own event loop is running, as in a notebook.
The thread keeps no process from ending: what is open on its loop is closed then.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, TypeVar, TypeVarTuple

import anyio
from anyio.abc import TaskGroup
from anyio.from_thread import BlockingPortal

from ..errors import STORE_CLOSED, QwfError, UsageError, first_error
from .loop_block import LoopBlock

R = TypeVar("R")
T = TypeVar("T")
Args = TypeVarTuple("Args")

MAX_CLOSING_TIME: Final = 5.0
"""Seconds that a process which ends waits until what is open on a loop is closed."""

MAX_STOPPING_TIME: Final = 10.0
"""Seconds that a call which was interrupted waits until its job has ended."""


class LoopThread:
    """An event loop in a thread, until `close`, or until the process ends.

    `opened` is for what stays open on the loop: it is entered by what runs there, and left when
    all that ran there has ended.
    """

    opened: AsyncExitStack
    _tasks: TaskGroup
    _closing: anyio.Event

    def __init__(self) -> None:
        self._pid = os.getpid()
        started: Future[tuple[BlockingPortal, asyncio.AbstractEventLoop]] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="qwf-loop", daemon=True)
        self._thread.start()
        self._portal, self._loop = started.result()
        atexit.register(
            self.close
        )  # by this a forked process keeps the loop of its parent, which it must not close

    def run(self, function: Callable[[*Args], Awaitable[R]], *args: *Args) -> R:
        """The result of an asynchronous function, run on the loop; the calling thread waits for it.

        If the waiting is interrupted, as by Ctrl-C, the job is cancelled, and may take
        MAX_STOPPING_TIME to end. In place of an ExceptionGroup its first error is raised. One of ours
        comes without what caused it: its message says that, and dask sends on only errors that are short.

        Raises UsageError if the loop is closed, or is that of the process from which this one was
        forked; also to a function that the loop itself calls, as it would wait for itself.
        """
        self.check_usable()
        job = _Job(function, args)
        try:
            return self._portal.start_task_soon(job.run).result()
        except BaseException as error:
            if not job.ended.is_set():
                if isinstance(error, RuntimeError):
                    self.check_usable()  # it was closed before the job could begin
                self.soon(job.stop)
                job.ended.wait(MAX_STOPPING_TIME)
                raise
            cause = UsageError(STORE_CLOSED) if isinstance(error, CancelledError) else first_error(error)
            if not isinstance(cause, QwfError):
                raise
        cause.__cause__ = cause.__context__ = None
        raise cause.with_traceback(None)

    def start(self, function: Callable[[*Args], Awaitable[object]], *args: *Args) -> None:
        """Run an asynchronous function on the loop, beside all else, until it returns or the loop ends."""
        self._portal.start_task_soon(function, *args)

    @contextmanager
    def entered(self, manager: AbstractAsyncContextManager[R]) -> Iterator[Entered[R]]:
        """Enter an asynchronous context manager for the body of a `with` block: see `LoopBlock`.

        An error of the body is raised within it. What is no Exception, as KeyboardInterrupt, cancels it.
        Raises as `run`.
        """

        async def enter() -> Entered[R]:
            block = LoopBlock(manager)
            return Entered(loop=self, block=block, value=await self._tasks.start(block.hold))

        entered = self.run(enter)
        block = entered.block
        try:
            yield entered
        except Exception as error:
            if self.run(block.leave, error):
                raise
        except BaseException:
            with suppress(
                UsageError
            ):  # the loop has ended, as at the end of the process, and so has the block
                self.run(block.cancel)
            raise
        else:
            self.run(block.leave, None)

    def hold(self, manager: AbstractAsyncContextManager[R]) -> R:
        """Enter an asynchronous context manager that is left, cancelled, when the loop ends. Raises as `run`."""

        async def enter() -> R:
            value: R = await self._tasks.start(LoopBlock(manager).hold)
            return value

        return self.run(enter)

    def soon(self, function: Callable[[*Args], object], *args: *Args) -> None:
        """Call a function on the loop, from any thread, without waiting for it. A loop that has ended calls nothing."""
        if os.getpid() == self._pid:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(function, *args)

    def close(self) -> None:
        """Cancel what runs on the loop, close what is open there, and end the thread. May be called twice.

        In a process that was forked it does nothing.
        """
        self.close_soon()
        if os.getpid() == self._pid and threading.current_thread() is not self._thread:
            self._thread.join(MAX_CLOSING_TIME)

    def close_soon(self) -> None:
        """As `close`, but without waiting: a garbage collector calls it, perhaps in the thread of the loop."""
        self.soon(self._closing.set)

    def check_usable(self) -> None:
        """Raises UsageError as `run` does."""
        if os.getpid() != self._pid:
            raise UsageError("the store was opened before this process was forked: open one here")
        if threading.current_thread() is self._thread:
            raise UsageError(
                "a function that the store calls cannot call the store: it would wait for itself"
            )
        if self._closing.is_set() or not self._thread.is_alive():
            raise UsageError(STORE_CLOSED)

    def _run(self, started: Future[tuple[BlockingPortal, asyncio.AbstractEventLoop]]) -> None:
        try:
            anyio.run(self._serve, started, backend_options={"use_uvloop": sys.platform != "win32"})
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)  # as without a file descriptor for a loop
        finally:
            atexit.unregister(self.close)

    async def _serve(self, started: Future[tuple[BlockingPortal, asyncio.AbstractEventLoop]]) -> None:
        self._closing = anyio.Event()
        async with (
            AsyncExitStack() as self.opened,
            anyio.create_task_group() as self._tasks,
            BlockingPortal() as portal,
        ):
            started.set_result((portal, asyncio.get_running_loop()))
            await self._closing.wait()
            await portal.stop()
            self._tasks.cancel_scope.cancel()  # those of the portal are within it


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered(Generic[T]):
    """A context manager that was entered on a loop: its `value`, and `run` for what is done in its block."""

    loop: LoopThread
    block: LoopBlock[T]
    value: T

    def run(self, function: Callable[[*Args], Awaitable[R]], *args: *Args) -> R:
        """As `LoopThread.run`, in the block: if the context manager ends that, it is cancelled, and raises why."""
        result: R = self.loop.run(self.block.do, partial(function, *args))
        return result


class _Job(Generic[R]):
    """A function to be run on a loop, which can be stopped even before it has begun."""

    def __init__(self, function: Callable[[*Args], Awaitable[R]], args: tuple[*Args]) -> None:
        self.ended = threading.Event()
        self._call: Callable[[], Awaitable[R]] = partial(function, *args)
        self._scope: anyio.CancelScope | None = None
        self._stopped = False

    async def run(self) -> R:
        try:
            with anyio.CancelScope() as self._scope:
                if self._stopped:
                    self._scope.cancel()
                return await self._call()
            raise CancelledError
        finally:
            self.ended.set()

    def stop(self) -> None:
        """Cancel it. To be called on the loop."""
        self._stopped = True
        if self._scope is not None:
            self._scope.cancel()
