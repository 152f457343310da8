"""Waiting for what another process does without telling us. The waits are long, as the machine may be busy."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import anyio

from tests.conftest import PATIENCE


def wait_until(condition: Callable[[], object]) -> None:
    """Block until the condition holds. Fails if it never does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


async def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds, while other tasks go on."""
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 # another process sets no event of ours
            await anyio.sleep(0.005)


def is_stopped(pid: int) -> bool:
    """Whether a process that was sent SIGSTOP has stopped. Until then it may still act, or take a later signal."""
    return "\nState:\tT" in Path(f"/proc/{pid}/status").read_text()
