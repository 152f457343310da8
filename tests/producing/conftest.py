"""What the tests of many producers share: one event loop each, and no connection of this process left open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from qwf_async.producing.background import close_background


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Of processes and threads with loops of their own, one kind of loop is enough."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(autouse=True)
def _closes_the_background() -> Iterator[None]:
    """Targets leave connections open until the process ends."""
    yield
    close_background()
