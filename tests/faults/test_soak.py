"""Random faults under random ingests: a short run, and `pytest -m soak -n 0` for a long one on either server.

The seed is printed, and QWF_SOAK_SEED repeats it; QWF_SOAK_FAULTS is the number of faults on each server.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server, new_server
from tests.support.soak.findings import Findings
from tests.support.soak.run import soak

pytestmark = pytest.mark.usefixtures("small_chunks")


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("QWF_SOAK_SEED") or random.SystemRandom().randrange(2**32))


@pytest.fixture(params=["valkey", "redis"])
def durable(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that has what it acknowledged after kill -9 too, and says BUSY after 50 ms of a script."""
    options = {"appendonly": "yes", "appendfsync": "always", "busy-reply-threshold": "50"}
    yield from new_server(request.param, **options)


def check(findings: Findings) -> None:
    assert not findings.problems, str(findings)
    assert (findings.lost, findings.wrong, findings.leaked) == (0, 0, []), str(findings)


@pytest.mark.parametrize("durable", ["valkey"], indirect=True)
def test_random_faults_lose_nothing(durable: Server, tmp_path: Path, seed: int) -> None:
    findings = soak(durable, tmp_path, seed=seed, faults=15, tasks=3, processes=1, scale=0.3)
    print(findings)  # noqa: T201 # pytest shows it when the test fails
    check(findings)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_many_random_faults_lose_nothing(
    durable: Server, tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = int(os.environ.get("QWF_SOAK_FAULTS") or 250)
    with capsys.disabled():
        print(f"\n{durable.software}: QWF_SOAK_SEED={seed}")  # noqa: T201 # to repeat it, even if it is stopped
        findings = soak(durable, tmp_path, seed=seed, faults=faults)
        print(findings)  # noqa: T201 # the figures
    check(findings)
