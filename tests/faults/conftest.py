"""Fixtures of tests with faults: chance, a relay before a server, and a rig for commands."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from qwf_async.lattice.plan import RangePlan
from tests.conftest import Server
from tests.support.chance import new_seed
from tests.support.ingest_rig import Rig, new_rig
from tests.support.relay import Relay, relaying


@pytest.fixture
def chance() -> random.Random:
    return random.Random(new_seed())


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    yield from new_rig(tmp_path_factory)


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    with relaying(server) as relay:
        yield relay


@pytest.fixture
def small_plans(small_chunks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans with many chunks for every layout."""
    cut = RangePlan.cut
    monkeypatch.setattr(
        RangePlan, "cut", staticmethod(lambda shape, unit: cut(shape, points=1024, unit=unit))
    )
