"""What jobs left on this host is brought to the server by `sync`, and said by the status until then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from qwf_async.errors import ReplayOwed
from qwf_async.study import StudyStorage
from tests.conftest import Server, new_server
from tests.support.inside import Inside


@pytest.fixture
def lasting() -> Iterator[Server]:
    """A server of the test's own that keeps on disk what it is given."""
    yield from new_server("valkey", appendonly="yes")


@pytest.fixture
def inside(lasting: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inside:
    # No copy is made in time, as when the server goes away right after a study was begun.
    monkeypatch.setattr("qwf_async.study.failover.COPY_SECONDS", 60.0)
    return Inside.at(tmp_path, monkeypatch, QWF_URL=lasting.url)


def leave_a_trial(server: Server, name: str) -> None:
    """A job that tells a trial, loses the server, tells another, and ends."""
    with closing(StudyStorage(server.url)) as storage:
        study = optuna.create_study(study_name=name, storage=storage)
        study.tell(study.ask(), 1.0)
        server.kill()
        study.tell(study.ask(), 2.0)


def test_what_was_left_is_brought_by_a_command(inside: Inside, lasting: Server) -> None:
    leave_a_trial(lasting, "grid")
    away = inside.qwf("study", "sync", "--wait", "0")
    assert (away.status, away.out) == (6, "")
    assert away.lines[-1].endswith(
        f"entries wait for it in {inside.directory}/xdg_data_home/qwf_async/spool (exit 6)"
    )
    status = json.loads(inside.qwf("study", "status", "--json").out)
    assert (status["mode"], status["latency_ms"]) == ("offline", None)
    waiting = status["pending_entries"]
    assert waiting >= 2
    assert Path(status["overlay_path"]).is_file()
    listed = inside.qwf(
        "study", "trials", "grid", "--json"
    )  # from the file: nothing was copied before the outage
    assert [row["values"] for row in json.loads(listed.out)] == [[1.0], [2.0]]
    lasting.start()
    brought = inside.qwf("study", "sync", "--json")
    assert (brought.status, json.loads(brought.out)) == (0, {"entries": {"grid": waiting}})
    assert inside.qwf("study", "sync").lines == ["nothing waits for the server"]
    status = json.loads(inside.qwf("study", "status", "--json").out)
    assert (status["mode"], status["pending_entries"], status["trials"]["COMPLETE"]) == ("online", 0, 2)


def test_sync_waits_for_the_server_and_gives_up(inside: Inside, lasting: Server) -> None:
    leave_a_trial(lasting, "grid")
    with (
        closing(StudyStorage(lasting.url)) as storage,
        pytest.raises(ReplayOwed, match="entries wait for it"),
    ):
        storage.sync(0.3)


def test_a_study_that_was_removed_meanwhile_is_dropped(
    inside: Inside, lasting: Server, tmp_path: Path
) -> None:
    leave_a_trial(lasting, "grid")
    lasting.start()
    with closing(StudyStorage(lasting.url, directory=tmp_path / "elsewhere")) as other:
        other.delete_study(other.get_study_id_from_name("grid"))
    with closing(StudyStorage(lasting.url)) as storage:
        storage.sync(5)
        assert storage.get_storage_status()["pending_entries"] == 0
        assert storage.get_all_studies() == []
