"""Marks for tests that run on one event loop only, because they take their time or the loop makes no difference."""

from __future__ import annotations

import pytest

ON_ASYNCIO = pytest.mark.parametrize("anyio_backend", ["asyncio"])
ON_UVLOOP = pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"use_uvloop": True})], ids=["asyncio+uvloop"]
)
