"""One event loop a test of copies, chosen by its name: both are met by tests of every kind, in half the time."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import pytest


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": crc32(request.node.name.encode()) % 2 == 0}
