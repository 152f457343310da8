"""The one policy by which anything is tried again, and the loop that follows it for an operation.

Where it is decided, and what:

- Whether an error is worth another attempt: `client.failure`, by the class that it becomes.
- One command or script: `Pool.call`. An operation of several: the caller, with `until_available`.
- Room on a crowded server: `client.pool_state`, for as long as QUEUE says.
- One batch of an ingest: `ingesting.delivery`. That it goes into the spool instead: `ingesting.outage`.
- Requests that the server's own limits cut off: `server.output_limit` and `ingesting.value_limit`, which
  count the losses and then stop.
- The embedded server while it starts, loads or ends: `embedded.lifecycle`.

Loops that look again at a fixed interval, whatever happened, are no retries and have no policy:
`ingesting.lease`, `ingesting.watchdog`, `ingesting.watch_server` and `Outage.run`.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import anyio

from ..errors import ServerUnavailable

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)

_MAX_DOUBLINGS: Final = 60
"""Of the back-off. Far above every cap, and 2**1024 would not be a float any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How long, how often and at what distance something is tried again.

    `deadline` (seconds, from the first failure on) and `attempts` (the first one included)
    both bound it. The wait before attempt n + 1 is a random time up to `base` · 2ⁿ seconds, but
    `cap` seconds at most. It is random so that many clients do not come back together.
    """

    deadline: float
    attempts: float = math.inf
    base: float = 0.05
    cap: float = 1.0

    def backoff(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row, whatever the bounds are."""
        jitter = random.random()  # noqa: S311 # no secret
        return min(self.cap, jitter * self.base * 2.0 ** min(failures, _MAX_DOUBLINGS))

    def pause(self, failures: int, elapsed: float) -> float | None:
        """Seconds to wait before the next attempt; None if there is none.

        The first of these failures was `elapsed` seconds ago. There is no attempt that would
        begin after the deadline.
        """
        seconds = self.backoff(failures)
        return None if failures >= self.attempts or elapsed + seconds > self.deadline else seconds


async def until_available(operation: Callable[[], Awaitable[T]], retry: Retry) -> T:
    """The result of `operation()`, awaited again and again while it raises ServerUnavailable.

    The deadline counts from the first failure on, so that standing in line for a crowded
    server does not count. After it the last error propagates. `operation` must be idempotent.
    """
    failures, since = 0, 0.0
    while True:
        try:
            return await operation()
        except ServerUnavailable as error:
            failures += 1
            time = anyio.current_time()
            since = since if failures > 1 else time
            pause = retry.pause(failures, time - since)
            if pause is None:
                raise
            _log.info("attempt %d failed, the next one in %.2f s: %s", failures, pause, error)
        await anyio.sleep(pause)
