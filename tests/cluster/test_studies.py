"""Studies on real clusters: all keys of a study on one node, whatever becomes of that node and of the slot."""

from __future__ import annotations

import time
from collections.abc import Iterator

import optuna
import pytest

from qwf_async.client.slots import slot_of
from qwf_async.study.storage import StudyStorage
from tests.cluster.conftest import OwnCluster
from tests.conftest import PATIENCE
from tests.support.cluster_studies import check, objective
from tests.support.clusters import Cluster
from tests.support.slot_moves import begin_move, move_keys

TRIALS = 20


@pytest.fixture(autouse=True)
def _says_nothing_of_trials() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def storage(each_cluster: Cluster) -> Iterator[StudyStorage]:
    storage = StudyStorage(each_cluster.url, after=PATIENCE)
    yield storage
    storage.close()


def test_all_keys_of_a_study_are_on_one_node_and_studies_on_several(
    each_cluster: Cluster, storage: StudyStorage
) -> None:
    for number in range(8):
        study = optuna.create_study(storage=storage, study_name=f"psi-{number}")
        study.optimize(objective, n_trials=2)
    keys = [key for key in each_cluster.contents() if b"{" in key]
    slots = {study_id: {slot_of(key) for key in keys if b"{%s}" % study_id in key} for study_id in ids(keys)}
    assert len(slots) == 8
    assert all(len(one) == 1 for one in slots.values())
    assert len({each_cluster.node_of_slot(*one).id for one in slots.values()}) > 1
    check(each_cluster, 2, "psi-3")


def ids(keys: list[bytes]) -> set[bytes]:
    return {key.partition(b"{")[2].partition(b"}")[0] for key in keys}


def test_a_study_goes_on_while_its_slot_moves(each_cluster: Cluster, storage: StudyStorage) -> None:
    study = optuna.create_study(storage=storage, study_name="psi")
    study.optimize(objective, n_trials=5)
    slot = slot_of(f"{{{study._study_id}}}")
    source = each_cluster.node_of_slot(slot)
    target = next(node for node in each_cluster.primaries if node is not source)
    begin_move(slot, source, target)
    study.optimize(objective, n_trials=5)  # the keys are still with the source, and new ones with the target
    move_keys(slot, source, target)
    study.optimize(objective, n_trials=5)
    each_cluster.end_move(slot, target)
    study.optimize(objective, n_trials=5)
    each_cluster.move_slots([slot], target, source)
    check(each_cluster, 20)


def test_only_the_study_of_a_node_that_is_away_is_kept_on_the_host_until_a_replica_takes_over(
    own_cluster: OwnCluster,
) -> None:
    cluster = own_cluster()
    storage = StudyStorage(cluster.url)
    try:
        studies = [optuna.create_study(storage=storage, study_name=f"psi-{number}") for number in range(8)]
        for study in studies:
            study.optimize(objective, n_trials=2)
        homes = {study.study_name: cluster.node_of(f"{{{study._study_id}}}") for study in studies}
        lost = homes["psi-0"]
        cluster.stop(lost)
        for study in studies:
            study.optimize(objective, n_trials=2)
            assert study is not studies[0] or storage.get_storage_status()["mode"] == "offline"
            away = [
                storage.get_study_name_from_id(one.study_id) for one in storage.open_studies() if one.away
            ]
            assert all(homes[name] is lost for name in away)
        cluster.failover_done(lost)
        end = time.monotonic() + PATIENCE
        while storage.get_storage_status()["mode"] != "online" and time.monotonic() < end:
            time.sleep(0.05)
        for study in studies:
            study.optimize(objective, n_trials=2)
    finally:
        storage.close()
    for name in homes:
        check(cluster, 6, name)
    cluster.go_on(lost)
