"""Studies under random faults: `pytest -m soak -n 0`. The first is a short run of every kind.

The seed is printed, and QWF_SOAK_SEED repeats it; QWF_SOAK_FAULTS is the number of faults.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server, new_server
from tests.support.study_soak.nemesis import FAULTS
from tests.support.study_soak.run import Findings, soak


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("QWF_SOAK_SEED") or random.SystemRandom().randrange(2**32))


@pytest.fixture(params=["valkey", "redis"])
def durable(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that has what it acknowledged after kill -9 too: with "everysec" it would not wait for a slow disk."""
    yield from new_server(request.param, appendonly="yes", appendfsync="no")


def check(findings: Findings) -> None:
    print(findings)  # noqa: T201 # the figures, shown when the test fails, or if it is asked for
    assert not findings.problems, str(findings)
    assert findings.told, str(findings)


@pytest.mark.soak
@pytest.mark.parametrize("durable", ["valkey"], indirect=True)
def test_one_fault_of_each_kind_loses_nothing(durable: Server, tmp_path: Path, seed: int) -> None:
    findings = soak(durable, tmp_path, seed=seed, faults=len(FAULTS), workers=2, scale=0.15, pause=0.02)
    check(findings)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_many_random_faults_lose_nothing(
    durable: Server, tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\n{durable.software}: QWF_SOAK_SEED={seed}")  # noqa: T201 # to repeat it, even if it is stopped
        faults = int(os.environ.get("QWF_SOAK_FAULTS") or 100)
        check(soak(durable, tmp_path, seed=seed, faults=faults))


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("workers", "threads"), [(15, 1), (10, 5), (15, 10)])
def test_many_workers_lose_nothing(
    durable: Server, tmp_path: Path, seed: int, workers: int, threads: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\n{durable.software}: QWF_SOAK_SEED={seed}")  # noqa: T201 # as above
        check(soak(durable, tmp_path, seed=seed, faults=20, workers=workers, threads=threads, pause=1.0))
