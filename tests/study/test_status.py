"""What a storage says of itself: while its server is there, while it is away, and with few rights."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from qwf_async.server.acl import reader
from qwf_async.study.keys import StudyKeys
from qwf_async.study.standing import Mode, Standing
from qwf_async.study.storage import StudyStorage
from qwf_async.study.writer import Writer
from tests.conftest import PATIENCE, Server
from tests.support.loads import ask


@pytest.fixture
def storage(own_server: Server) -> Iterator[StudyStorage]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = StudyStorage(own_server.url, after=0.1)
    yield storage
    storage.close()


def test_the_info_of_a_storage_counts_what_is_there(own_server: Server, storage: StudyStorage) -> None:
    for name, count in (("a", 3), ("b", 2)):
        study = optuna.create_study(storage=storage, study_name=name)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=count)
        study.ask()
    other = StudyStorage(own_server.url)
    info = other.get_storage_info()
    assert info["trials"] == {"COMPLETE": 5, "FAIL": 0, "PRUNED": 0, "RUNNING": 2, "WAITING": 0}
    assert (info["mode"], info["studies"], info["workers_alive"]) == ("online", 2, 1)
    assert (info["server"], info["durability"], info["overlay_path"]) == (own_server.url, "memory", None)
    assert (info["connections_succeeded_percent"], info["connections_lost"]) == (100, 0)
    assert info["connections_reused_percent"] > 80
    assert info["latency_ms"] > 0
    assert info["bytes"] > 1000
    other.close()


def test_durability_is_that_of_the_servers_settings(own_server: Server, storage: StudyStorage) -> None:
    ask(own_server, "CONFIG", "SET", "save", "60 1000")
    assert storage.get_storage_status()["durability"] == "rdb (save 60 1000)"
    ask(own_server, "CONFIG", "SET", "appendonly", "yes")
    assert storage.get_storage_status()["durability"] == "aof (everysec)"


def test_an_outage_is_part_of_the_answer(own_server: Server, storage: StudyStorage) -> None:
    optuna.create_study(storage=storage, study_name="a")
    own_server.kill()
    info = storage.get_storage_info()
    unknown = {"latency_ms", "durability", "workers_alive", "studies", "trials", "bytes", "overlay_path"}
    assert {name for name, value in info.items() if value is None} == unknown
    assert info["longest_stall_s"] > 0
    assert info["retries"] > 0
    own_server.start()
    assert storage.get_storage_status()["latency_ms"] > 0


def test_an_outage_that_is_over_was_counted(own_server: Server, storage: StudyStorage) -> None:
    study = optuna.create_study(storage=storage, study_name="a")
    own_server.kill()
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    away = storage.get_storage_status()
    assert (away["mode"], away["failovers"], away["recoveries"]) == ("offline", 1, 0)
    assert Path(away["overlay_path"]).exists()
    assert away["pending_entries"] >= 6
    own_server.start()
    end = time.monotonic() + PATIENCE
    while (back := storage.get_storage_status())["mode"] != "online" and time.monotonic() < end:
        time.sleep(0.05)
    assert (back["mode"], back["recoveries"], back["pending_entries"]) == ("online", 1, 0)
    assert back["merged"] >= away["pending_entries"]
    assert storage.get_storage_info()["trials"]["COMPLETE"] == 3


def test_a_server_that_does_not_tell_its_settings_has_an_unknown_durability(
    own_server: Server, storage: StudyStorage
) -> None:
    optuna.create_study(storage=storage, study_name="a")
    ask(own_server, "ACL", "SETUSER", "lab", *reader("qwf"), "nopass")
    watcher = StudyStorage(own_server.url.replace("unix://", "unix://lab@"))
    info = watcher.get_storage_info()
    assert (info["durability"], info["studies"]) == ("unknown", 1)
    assert info["bytes"] > 0
    watcher.close()


def test_only_workers_that_live_are_counted(own_server: Server, storage: StudyStorage) -> None:
    study_id = storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "a")
    keys = StudyKeys(prefix="qwf", study_id=study_id)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    seconds, _ = ask(own_server, "TIME")
    here = Writer.here("t")
    for lane, host, pid, beat in (
        (1, here.host, dead.pid, seconds),  # died here
        (2, "far", 7, seconds),  # lives elsewhere
        (3, "far", 8, seconds - 3600),  # was last heard of an hour ago
        (4, here.host, here.pid, seconds),  # this process
        (5, here.host, here.pid, seconds),  # this process again
    ):
        boot = here.boot if host == here.host else "another"
        writer = Writer(token="t", host=host, boot=boot, pid=pid, started=here.started)
        ask(own_server, "HSET", keys.writers, lane, writer.to_json())
        ask(own_server, "HSET", keys.beats, f"w{lane}", 1000 * int(beat))
    ask(own_server, "HSET", keys.writers, 6, Writer.here("t", has_left=True).to_json())
    assert storage.get_storage_status()["workers_alive"] == 2


def test_a_storage_is_offline_while_one_of_its_studies_is() -> None:
    standing = Standing()
    turns: list[tuple[int, Mode, Mode]] = [
        (1, "offline", "offline"),
        (1, "merging", "merging"),
        (2, "offline", "offline"),
        (1, "online", "offline"),
        (2, "merging", "merging"),
        (2, "online", "online"),
        (2, "online", "online"),
        (1, "offline", "offline"),
    ]
    for study_id, mode, together in turns:
        standing.turn(study_id, mode)
        assert standing.mode == together
    assert (standing.failovers, standing.recoveries) == (2, 1)
