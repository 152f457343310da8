"""Studies of a cluster go to a file and come back, and old logs whose entries lie on several nodes are taken over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from qwf_async.study.exchange import export_studies, import_studies
from qwf_async.study.foreign.source import has_foreign_study
from qwf_async.study.migration import migrate
from qwf_async.study.new_study import patient_server
from qwf_async.study.storage import StudyStorage
from tests.conftest import PATIENCE
from tests.support.cluster_studies import check, objective
from tests.support.clusters import Cluster

TRIALS = 20


@pytest.fixture
def storage(each_cluster: Cluster) -> Iterator[StudyStorage]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = StudyStorage(each_cluster.url, after=PATIENCE)
    yield storage
    storage.close()


def test_studies_go_to_a_file_and_come_back(
    each_cluster: Cluster, storage: StudyStorage, tmp_path: Path
) -> None:
    for number in range(4):
        optuna.create_study(storage=storage, study_name=f"psi-{number}").optimize(objective, n_trials=5)
    export_studies(storage, None, tmp_path / "all.jsonl")
    for number in range(4):
        optuna.delete_study(study_name=f"psi-{number}", storage=storage)
    import_studies(tmp_path / "all.jsonl", storage)
    for number in range(4):
        check(each_cluster, 5, f"psi-{number}").optimize(objective, n_trials=1)


def test_a_stock_log_whose_entries_lie_on_several_nodes_is_taken_over(
    each_cluster: Cluster, storage: StudyStorage, tmp_path: Path
) -> None:
    path = tmp_path / "journal"
    stock = JournalStorage(JournalFileBackend(str(path)))
    optuna.create_study(storage=stock, study_name="psi").optimize(objective, n_trials=TRIALS)
    lines = path.read_bytes().splitlines()
    with each_cluster.plain as client:
        client.set("old:log_number", len(lines) - 1)
        for number, line in enumerate(lines):
            client.set(f"old:log:{number}", line)
    with patient_server(storage) as server:
        assert "#old" in (has_foreign_study(server, "psi") or "")
    migrate(f"{each_cluster.url}#old", storage)
    check(each_cluster, TRIALS)
