"""What the tests of dask share: no connection of this process is left open, and no thread of a scheduler."""

from __future__ import annotations

from collections.abc import Iterator

import dask
import pytest

from qwf_async.producing.background import close_background


@pytest.fixture(autouse=True)
def _closes_the_background() -> Iterator[None]:
    """Targets leave connections open until the process ends."""
    with dask.config.set(scheduler="threads", num_workers=2):
        yield
    close_background()
