"""Clusters that cannot be used as they are: one clear line, and the exit code that goes with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cluster.conftest import OwnCluster
from tests.cluster.test_routed_pool import wait_for_names
from tests.support.clusters import Cluster
from tests.support.command import Outcome, Shell
from tests.support.loads import wave

PSI = wave(1, 8, 8, 8)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    np.save(tmp_path / "psi.npy", PSI)
    return Shell.at(tmp_path, QWF_DEADLINE="5")


def said(outcome: Outcome, status: int) -> str:
    """The one line that a command said as it failed with this exit code."""
    assert outcome.status == status, outcome.err
    (line,) = outcome.err.strip().splitlines()
    return line


def test_a_database_of_a_cluster_is_a_wrong_url(each_cluster: Cluster, shell: Shell) -> None:
    outcome = shell.qwf("ls", "-u", f"{each_cluster.url}/3")
    assert "in a cluster only 0" in said(outcome, 2)


def test_slots_that_no_node_has_are_said_at_once(own_cluster: OwnCluster, shell: Shell) -> None:
    cluster = own_cluster(replicas=0)
    first, *_ = cluster.primaries
    slots = cluster.slots(first)[:100]
    for node in cluster.nodes:
        node.call("CLUSTER", "DELSLOTS", *slots)
    line = said(shell.qwf("ingest", "psi.npy", "-u", first.url), 3)
    assert "100 of the 16,384 slots of the cluster have no node" in line
    assert f"redis-cli --cluster check {first.address}" in line


def test_nodes_that_are_not_where_they_say_ask_for_a_node_map(own_cluster: OwnCluster, shell: Shell) -> None:
    options = {"cluster-preferred-endpoint-type": "hostname", "cluster-announce-port": "7"}
    cluster = own_cluster(replicas=0, **options)
    for number, node in enumerate(cluster.nodes):
        node.call("CONFIG", "SET", "cluster-announce-hostname", f"node-{number}.invalid")
    wait_for_names(cluster)
    assert "--node-map node-0.invalid:7=HOST:PORT" in said(shell.qwf("ls", "-u", cluster.url), 3)
    places = ",".join(f"node-{number}.invalid:7={node.address}" for number, node in enumerate(cluster.nodes))
    outcome = shell.qwf("ingest", "psi.npy", "-u", cluster.url, "--node-map", places, "--quiet")
    assert outcome.status == 0, outcome.err
    *some, _ = places.split(",")
    line = said(shell.qwf("info", "--server", "-u", cluster.url, "--node-map", ",".join(some)), 3)
    assert "if it is reached elsewhere from here: --node-map node-2.invalid:7=HOST:PORT" in line


def test_no_node_that_was_named_answers(shell: Shell) -> None:
    line = said(shell.qwf("ls", "-u", "redis+cluster://127.0.0.1:1,127.0.0.1:2"), 3)
    assert "none of the 2 nodes of redis+cluster://127.0.0.1:1,127.0.0.1:2 answers" in line
