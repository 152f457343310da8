"""Random faults of a cluster under random loads: a short run, and `pytest -m soak -n 0` for a long one.

The seed is printed, and QWF_SOAK_SEED repeats it; QWF_SOAK_FAULTS is the number of faults on each software.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.cluster.conftest import OwnCluster
from tests.support.soak.cluster_faults import OPTIONS
from tests.support.soak.cluster_findings import ClusterFindings
from tests.support.soak.cluster_run import cluster_soak, kinds_of

SHORT = 5

pytestmark = pytest.mark.usefixtures("small_chunks")


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("QWF_SOAK_SEED") or random.SystemRandom().randrange(2**32))


def check(findings: ClusterFindings) -> None:
    assert not findings.problems, str(findings)
    assert (findings.lost, findings.wrong) == (0, 0), str(findings)


def test_random_faults_of_a_cluster_lose_nothing(own_cluster: OwnCluster, tmp_path: Path, seed: int) -> None:
    cluster = own_cluster(**OPTIONS)
    kinds = random.Random(seed).sample(kinds_of(cluster), SHORT)
    findings = cluster_soak(cluster, tmp_path, seed=seed, kinds=kinds)
    print(findings)  # noqa: T201 # pytest shows it when the test fails
    check(findings)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("software", ["valkey", "redis"])
def test_many_random_faults_of_a_cluster_lose_nothing(
    own_cluster: OwnCluster, tmp_path: Path, seed: int, software: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = own_cluster(software, **OPTIONS)
    number = int(os.environ.get("QWF_SOAK_FAULTS") or 100)
    kinds = random.Random(seed).choices(kinds_of(cluster), k=number)
    with capsys.disabled():
        print(f"\n{software}: QWF_SOAK_SEED={seed}")  # noqa: T201 # to repeat it, even if it is stopped
        findings = cluster_soak(cluster, tmp_path, seed=seed, kinds=kinds)
        print(findings)  # noqa: T201 # the figures
    check(findings)
