"""The file for node exporter's textfile collector: written whole, readable by all, and however the command ends."""

from __future__ import annotations

import signal
from pathlib import Path

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families as prometheus

from qwf_async.events import BatchWritten
from qwf_async.metrics import Metrics
from qwf_async.metrics import text as text_of_metrics
from qwf_async.metrics.text import write_file
from tests.conftest import PATIENCE, Server
from tests.support.command import Shell
from tests.support.waiting import until

NOWHERE = "redis://127.0.0.1:1"
LOAD = ("ingest", "gaussian", "--grid", "64x1", "--name", "psi", "--quiet", "--metrics-file", "x.prom")


def value(file: Path, name: str) -> float | None:
    for family in prometheus(file.read_text()):
        for sample in family.samples:
            if sample.name == name:
                return float(sample.value)
    return None


def test_a_load_leaves_a_file_whether_it_succeeds_or_fails(server: Server, tmp_path: Path) -> None:
    shell, file = Shell.at(tmp_path, QWF_URL=server.url), tmp_path / "x.prom"
    done = shell.qwf(*LOAD)
    assert (done.status, done.err) == (0, "")
    assert (value(file, "qwf_load_success"), value(file, "qwf_points_written_total")) == (1, 64)
    assert value(file, "qwf_load_timestamp_seconds") == pytest.approx(file.stat().st_mtime, abs=PATIENCE)
    assert file.stat().st_mode & 0o777 == 0o644
    exists, again, away = shell.several(
        [
            (LOAD, {}),
            ([*LOAD, "--overwrite"], {}),
            (LOAD, {"QWF_URL": NOWHERE, "QWF_DEADLINE": "0.1"}),
        ]
    )
    assert (exists.status, again.status, away.status) == (8, 0, 3)
    assert value(file, "qwf_load_success") == 0
    assert [path.name for path in tmp_path.iterdir() if "prom" in path.name] == ["x.prom"]


def test_a_dry_run_leaves_none_and_one_sample_of_a_server_does(server: Server, tmp_path: Path) -> None:
    shell, file = Shell.at(tmp_path, QWF_URL=server.url), tmp_path / "x.prom"
    assert shell.qwf(*LOAD, "--dry-run").status == 0
    assert not file.exists()
    assert shell.qwf("watch", "--once", "--quiet", "--metrics-file", "x.prom").status == 0
    assert value(file, "qwf_server_up") == 1


def test_watch_that_is_stopped_has_written_it(server: Server, tmp_path: Path) -> None:
    shell, file = Shell.at(tmp_path, QWF_URL=server.url), tmp_path / "x.prom"
    with shell.begin("watch", "--json", "--metrics-file", "x.prom") as watching:
        assert watching.process.stdout is not None
        watching.process.stdout.readline()
        watching.signal(signal.SIGTERM)
        assert watching.end().status == 0
    assert value(file, "qwf_server_up") == 1


@pytest.mark.anyio
async def test_it_is_written_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_of_metrics, "WRITE_EVERY", 0.0)
    file = tmp_path / "x.prom"
    metrics = Metrics()

    def points() -> float | None:
        return value(file, "qwf_points_written_total") if file.exists() else None

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(text_of_metrics.keep_writing, metrics, file)
        await until(lambda: points() == 0)
        metrics(BatchWritten(points=8, nbytes=128, seconds=0.1))
        await until(lambda: points() == 8)
        tasks.cancel_scope.cancel()


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "x.prom").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_file(Metrics(), tmp_path / "x.prom")
    assert [path.name for path in tmp_path.iterdir()] == ["x.prom"]
