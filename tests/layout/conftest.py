"""zarr's event loop, for the tests of layouts."""

from __future__ import annotations

import anyio.lowlevel
import pytest
from zarr.core.sync import sync


@pytest.fixture(scope="package", autouse=True)
def _zarr_loop() -> None:
    """It stays for good when zarr is first used: started before what a test leaves open is counted."""
    sync(anyio.lowlevel.checkpoint())
