"""`qwf ingest --dask`: the workers of a scheduler open the file themselves."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Server
from tests.support.command import Shell
from tests.support.dask_cluster import dask_cluster
from tests.support.loads import ask, check_points, published, wave
from tests.support.waiting import wait_until


@pytest.fixture
def shell(tmp_path: Path, server: Server) -> Shell:
    return Shell.at(tmp_path, QWF_URL=server.url)


def test_workers_open_the_file_and_the_client_publishes(shell: Shell, server: Server) -> None:
    psi = wave(3, 40, 30, 20)
    np.save(shell.directory / "psi.npy", psi)
    with dask_cluster(1) as scheduler:
        stored = shell.qwf("ingest", "psi.npy", "--dask", scheduler)
        again = shell.qwf("ingest", "psi.npy", "--dask", scheduler, "--resume")
        refused = shell.qwf("ingest", "psi.npy", "--dask", scheduler)
        psi[1, 3, 2, 1] = np.nan
        np.save(shell.directory / "bad.npy", psi)
        bad = shell.qwf("ingest", "bad.npy", "--dask", scheduler)
    assert (stored.status, again.status, refused.status, bad.status) == (0, 0, 8, 7), stored.err + bad.err
    assert "stored psi: 72,000 points" in stored.err
    assert "is stored already" in again.err
    assert "t = 1, x = 3, y = 2, z = 1" in bad.err
    assert "what was stored can be resumed with --resume" in bad.err
    check_points(server, wave(3, 40, 30, 20))


def test_ctrl_c_leaves_what_the_workers_stored(shell: Shell, server: Server) -> None:
    with (shell.directory / "psi.npy").open("wb") as file:
        np.save(file, wave(24, 64, 64, 64))
    with dask_cluster(1) as scheduler:
        with shell.begin("ingest", "psi.npy", "--dask", scheduler) as begun:
            wait_until(lambda: ask(server, "DBSIZE") > 20)
            begun.signal(signal.SIGINT)
            outcome = begun.end()
        assert outcome.status == 130, outcome.err
        assert "run the same command with --resume" in outcome.err
        assert published(server) is None
        resumed = shell.qwf("ingest", "psi.npy", "--dask", scheduler, "--resume", "--json")
    assert resumed.status == 0, resumed.err
    assert json.loads(resumed.out)["resumed_chunks"] > 0


def test_missing_scheduler_is_told_before_anything_is_begun(shell: Shell, server: Server) -> None:
    np.save(shell.directory / "psi.npy", wave(1, 4, 4, 4))
    outcome = shell.qwf("ingest", "psi.npy", "--dask", "tcp://127.0.0.1:1")
    assert outcome.status == 3, outcome.err
    assert "there is no dask scheduler at tcp://127.0.0.1:1" in outcome.err
    assert "resume" not in outcome.err
    wrong = shell.qwf("ingest", "psi.npy", "--dask", "scheduler")
    assert (wrong.status, wrong.err.count("\n")) == (2, 1), wrong.err
    assert "'scheduler' is no address of a dask scheduler" in wrong.err
    assert shell.qwf("ingest", "-", "--dask", "tcp://127.0.0.1:1").status == 2
    assert shell.qwf("ingest", "psi.npy", "--dask", "tcp://127.0.0.1:1", "--verify").status == 2
    assert ask(server, "DBSIZE") == 0
