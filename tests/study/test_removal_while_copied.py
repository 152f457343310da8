"""A study is removed while the thread of fail-over copies its log: that ends first, and leaves no file behind."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from qwf_async.study import copying, failover
from qwf_async.study.host_file import HostFile
from qwf_async.study.server_log import ServerLog
from qwf_async.study.storage import StudyStorage
from tests.conftest import PATIENCE, Server


def test_a_study_is_removed_while_its_log_is_copied(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    begun, may_go_on, plain = threading.Event(), threading.Event(), copying.copy_news
    fine: list[bool] = []

    def slow(log: ServerLog, file: HostFile) -> None:
        begun.set()
        assert may_go_on.wait(PATIENCE)
        fine.append(file.path.exists())
        plain(log, file)

    monkeypatch.setattr(failover, "copy_news", slow)
    with closing(StudyStorage(server.url, directory=tmp_path / "host")) as storage:
        study = optuna.create_study(storage=storage, study_name="s")
        study.set_user_attr("a", 1)
        assert begun.wait(PATIENCE)
        removal = threading.Thread(target=storage.delete_study, args=[study._study_id])
        removal.start()
        removal.join(0.3)  # it does not end before the copy does
        may_go_on.set()
        removal.join(PATIENCE)
        assert fine == [True]
        assert storage.get_all_studies() == []
        assert [path.name for path in (tmp_path / "host").rglob(f"{study._study_id}*")] == []
