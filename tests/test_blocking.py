"""The detector of blocking calls on the event loop, which watches every test: what it sees, and what it lets pass."""

from __future__ import annotations

import time

import numpy as np
import pytest
from blockbuster import BlockingError

import qwf_async as qwf
from qwf_async.events import Event
from tests.conftest import Server
from tests.support.blocking import no_blocking_calls

ONES = qwf.sources.array(np.ones((1, 4, 4, 4)))


@pytest.mark.anyio
async def test_a_file_that_is_read_on_the_loop_is_seen(server: Server) -> None:
    """Who owns a load is read from /proc, which is allowed, but would be seen as any file is."""
    async with qwf.connect(server.url) as store:
        with no_blocking_calls(allowed=()), pytest.raises(BlockingError):
            await qwf.ingest(ONES, store, "ones")


@pytest.mark.anyio
async def test_what_a_hook_of_a_user_does_is_not_ours(server: Server) -> None:
    seen: list[Event] = []

    def hook(event: Event) -> None:
        time.sleep(0)
        seen.append(event)

    async with qwf.connect(server.url) as store:
        await qwf.ingest(ONES, store, "ones", hooks=[hook])
    assert seen
