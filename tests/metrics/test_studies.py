"""What a storage of studies goes through, counted: trials by state, and how it stands with its server."""

from __future__ import annotations

import optuna
from optuna.trial import TrialState

from qwf_async.metrics import Metrics
from qwf_async.study.storage import StudyStorage
from tests.conftest import Server
from tests.support.waiting import wait_until


def test_trials_are_counted_by_state_and_an_outage_is_seen(own_server: Server) -> None:
    storage = StudyStorage(own_server.url, after=0.1)
    metrics = Metrics()
    metrics.add_storage(storage)

    def value(metric: str, **labels: str) -> float | None:
        found: float | None = metrics.registry.get_sample_value(metric, labels)
        return found

    try:
        study = optuna.create_study(storage=storage, study_name="s")
        trials = [study.ask() for _ in range(4)]
        study.tell(trials[0], 1.0)
        study.tell(trials[1], 2.0)
        study.tell(trials[2], state=TrialState.PRUNED)
        study.enqueue_trial({})
        assert {
            state: value("qwf_study_trials_total", state=state)
            for state in ("running", "waiting", "complete", "pruned", "fail")
        } == {"running": 4, "waiting": 1, "complete": 2, "pruned": 1, "fail": None}
        assert value("qwf_study_offline") == 0
        own_server.kill()
        study.tell(trials[3], 3.0)
        assert (value("qwf_study_offline"), value("qwf_study_failovers_total")) == (1, 1)
        own_server.start()
        wait_until(lambda: value("qwf_study_offline") == 0)
        assert value("qwf_study_recoveries_total") == 1
    finally:
        storage.close()
