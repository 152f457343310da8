"""matplotlib opens the files of its fonts before a test, because open files are counted after it."""

from __future__ import annotations

import io

import pytest

from qwf_async.plotting.figure import new_figure


@pytest.fixture(scope="module", autouse=True)
def _fonts() -> None:
    """matplotlib keeps the files of its fonts open from the first text on."""
    figure = new_figure(1, wide=True)
    figure.suptitle("ψ")
    figure.savefig(io.BytesIO())
