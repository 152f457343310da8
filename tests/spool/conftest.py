"""Fixtures of tests of the spool."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qwf_async.spool import spool_path
from tests.conftest import Server, new_server
from tests.support.spool_processes import GENERATION


@pytest.fixture
def durable() -> Iterator[Server]:
    """A server of the test's own that has what it acknowledged after kill -9 too."""
    yield from new_server("valkey", appendonly="yes", appendfsync="always")


@pytest.fixture
def spool_dir(tmp_path: Path) -> Path:
    """Where spools of the test lie."""
    return tmp_path / "data-home" / "qwf_async" / "spool"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a spool is to be."""
    return spool_path(tmp_path / "spool", GENERATION)
