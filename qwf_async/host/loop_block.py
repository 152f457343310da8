"""The block of an asynchronous context manager whose body runs elsewhere, in code that is not asynchronous.

One task of the loop enters the context manager, does in its block what the body asks for, and
leaves it. So the context manager can cancel what it does there, as it cancels its block.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import anyio
from anyio.abc import TaskStatus

from ..errors import UsageError

R = TypeVar("R")


@dataclass(kw_only=True)
class _Call:
    """What is to be done in the block, and what came of it: a value or an error. Of what was cut off there is none."""

    function: Callable[[], Awaitable[Any]]
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    value: Any = None
    error: Exception | None = None
    cut_off: bool = True

    async def do(self) -> None:
        with self.scope:
            try:
                self.value = await self.function()
            except Exception as error:  # noqa: BLE001 # it is raised in the body
                self.error = error
            self.cut_off = False
        self.done.set()


class LoopBlock(Generic[R]):
    """The block of one context manager. All its methods are called on the loop."""

    def __init__(self, manager: AbstractAsyncContextManager[R]) -> None:
        self._manager = manager
        self._send, self._calls = anyio.create_memory_object_stream[_Call | None](math.inf)
        self._scope = anyio.CancelScope()
        self._left = anyio.Event()
        self._body_error: Exception | None = None
        self._outcome: Exception | None = None

    async def hold(self, *, task_status: TaskStatus[R]) -> None:
        """Enter, do what the body asks for, and leave. Raises only what entering raises: `leave` raises the rest."""
        entered = False
        try:
            with self._scope:
                async with self._manager as value:
                    entered = True
                    task_status.started(value)
                    await self._serve()
        except Exception as error:
            if not entered:
                raise
            self._outcome = error
        finally:
            self._left.set()
            self._send.close()
            self._calls.close()

    async def do(self, function: Callable[[], Awaitable[Any]]) -> Any:
        """What an asynchronous function returns, run in the block. If that was left meanwhile, raises why it was."""
        call = _Call(function=function)
        async with anyio.create_task_group() as tasks:

            async def until_left() -> None:
                await self._left.wait()
                call.done.set()

            tasks.start_soon(until_left)
            try:
                if not self._left.is_set():
                    await self._send.send(call)
                await call.done.wait()
            finally:
                call.scope.cancel()
                tasks.cancel_scope.cancel()
        if call.error is not None:
            raise call.error
        if call.cut_off:
            raise self._outcome or UsageError("the block has ended, or its store is closed")
        return call.value

    async def leave(self, error: Exception | None) -> bool:
        """Leave the block, by the error of its body if there is one. Returns whether that is to be raised on.

        Raises another error that came of it, or that had ended the block before.
        """
        self._body_error = error
        if not self._left.is_set():
            await self._send.send(None)
        await self._left.wait()
        if self._outcome is not None and self._outcome is not error:
            raise self._outcome
        return self._outcome is not None

    async def cancel(self) -> None:
        """Cancel what is done in the block, and leave it."""
        self._scope.cancel()
        await self._left.wait()

    async def _serve(self) -> None:
        async for call in self._calls:
            if call is None:
                break
            await call.do()
        if self._body_error is not None:
            raise self._body_error
