"""Clusters for tests: one for all of them that break nothing, and new ones for those that do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from zlib import crc32

import pytest

from tests.support.clusters import Cluster, running

OwnCluster = Callable[..., Cluster]
"""`own_cluster(software="valkey", primaries=3, replicas=1, **options)`."""


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """One event loop a test, chosen by its name: both are met by tests of every kind, in half the time."""
    return "asyncio", {"use_uvloop": crc32(request.node.name.encode()) % 2 == 0}


@pytest.fixture(scope="session")
def _valkey_cluster() -> Iterator[Cluster]:
    with running("valkey") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def _redis_cluster() -> Iterator[Cluster]:
    with running("redis") as cluster:
        yield cluster


@pytest.fixture
def cluster(_valkey_cluster: Cluster) -> Cluster:
    """Three primaries of Valkey, emptied. Moving slots is allowed; killing is not."""
    _valkey_cluster.flush()
    return _valkey_cluster


@pytest.fixture
def redis_cluster(_redis_cluster: Cluster) -> Cluster:
    """Three primaries of Redis, emptied. Moving slots is allowed; killing is not."""
    _redis_cluster.flush()
    return _redis_cluster


@pytest.fixture(params=["valkey", "redis"])
def each_cluster(request: pytest.FixtureRequest) -> Cluster:
    """Clusters of Valkey and Redis in turn, emptied."""
    cluster: Cluster = request.getfixturevalue({"valkey": "cluster", "redis": "redis_cluster"}[request.param])
    return cluster


@pytest.fixture
def own_cluster() -> Iterator[OwnCluster]:
    """Makes clusters that a test may break, each in 2 s: three primaries with a replica each, if not told otherwise."""
    with ExitStack() as clusters:

        def make(software: str = "valkey", primaries: int = 3, replicas: int = 1, **options: str) -> Cluster:
            return clusters.enter_context(running(software, primaries, replicas, **options))

        yield make
