"""What is tried again, for how long, how often, and after which pauses."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from qwf_async.client.retry import Retry, until_available
from qwf_async.errors import QwfError, Refused, ServerUnavailable
from tests.conftest import PATIENCE

pytestmark = pytest.mark.anyio


async def test_until_available_tries_again_only_what_may_be_tried_again() -> None:
    tries = 0

    def failing_with(error: QwfError, *, times: int) -> Callable[[], Awaitable[Any]]:
        async def operation() -> Any:
            nonlocal tries
            tries += 1
            if tries <= times:
                raise error
            return "done"

        return operation

    with pytest.raises(Refused, match="no"):
        await until_available(failing_with(Refused("no"), times=1), Retry(deadline=PATIENCE))
    assert tries == 1
    tries = 0
    assert (
        await until_available(failing_with(ServerUnavailable("away"), times=3), Retry(deadline=PATIENCE))
        == "done"
    )
    assert tries == 4
    tries = 0
    with anyio.fail_after(PATIENCE), pytest.raises(ServerUnavailable, match="away"):
        await until_available(failing_with(ServerUnavailable("away"), times=10**9), Retry(deadline=0.3))


async def test_the_number_of_attempts_bounds_it_too() -> None:
    tries = 0

    async def fail() -> None:
        nonlocal tries
        tries += 1
        raise ServerUnavailable("away")

    with anyio.fail_after(PATIENCE), pytest.raises(ServerUnavailable, match="away"):
        await until_available(fail, Retry(deadline=math.inf, attempts=3, cap=0.001))
    assert tries == 3


def test_pauses_double_up_to_the_cap_for_any_number_of_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.5)
    retry = Retry(deadline=math.inf, base=0.05, cap=1.0)
    assert [retry.backoff(failures) for failures in range(1, 7)] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0]
    assert retry.pause(100_000, 1e9) == 1.0


def test_no_attempt_begins_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.5)
    retry = Retry(deadline=2.0, base=0.5, cap=1.0)
    assert retry.pause(1, 1.5) == 0.5
    assert retry.pause(1, 1.6) is None
