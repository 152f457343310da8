"""`qwf study export`, `import` and `migrate`: what they print, and their exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalRedisBackend

from tests.conftest import Server
from tests.support.command import Outcome
from tests.support.inside import Inside

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture
def shell(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inside:
    return Inside.at(tmp_path, monkeypatch, QWF_URL=server.url)


def study(shell: Inside, *commands: str) -> list[Outcome]:
    """`qwf study COMMAND` for each of these: words apart by blanks."""
    return [shell.qwf("study", *command.split()) for command in commands]


def test_a_backup_is_one_file_and_comes_back(shell: Inside) -> None:
    told = study(
        shell,
        "create a --quiet",
        "create b --direction maximize --quiet",
        "enqueue a {\"x\":1} --quiet",
        "export --all -o all.jsonl",
        "export a -o one.jsonl --json",
        "export a -o all.jsonl",
        "rm a b --yes --quiet",
        "import all.jsonl --json",
        "import all.jsonl",
        "import one.jsonl --as c",
        "import all.jsonl --as d",
    )  # fmt: skip
    assert [one.status for one in told] == [0, 0, 0, 0, 0, 7, 0, 0, 8, 0, 2]
    assert told[3].lines == ["wrote all.jsonl: 2 studies, 1 trial"]
    assert json.loads(told[4].out) == {"file": "one.jsonl", "studies": [{"name": "a", "trials": 1}]}
    assert told[5].lines == ["qwf: all.jsonl is there already: --overwrite replaces it (exit 7)"]
    assert [one["name"] for one in json.loads(told[7].out)["studies"]] == ["a", "b"]
    assert len(told[8].lines) == 1
    assert told[9].lines == ["read one.jsonl: 1 study, 1 trial"]
    assert told[10].lines == ["qwf: all.jsonl holds 2 studies, and --as is for one (exit 2)"]


def test_a_damaged_file_and_a_newer_one_change_nothing(shell: Inside, server: Server) -> None:
    study(shell, "create a --quiet", "export a -o a.jsonl --quiet", "rm a --yes --quiet")
    before = server.contents()
    whole = (shell.directory / "a.jsonl").read_text()
    (shell.directory / "cut.jsonl").write_text(whole[:-9])
    (shell.directory / "new.jsonl").write_text(whole.replace('"version":1', '"version":2', 1))
    told = study(
        shell, "import cut.jsonl", "import new.jsonl", "import none.jsonl", "export b -o b.jsonl", "export"
    )
    assert [one.status for one in told] == [5, 7, 7, 7, 2]
    assert all(len(one.lines) == 1 for one in told)
    assert server.contents() == before
    assert not (shell.directory / "b.jsonl").exists()


@pytest.fixture
def log(server: Server) -> Iterator[JournalRedisBackend]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    backend = JournalRedisBackend(server.url, prefix="old")
    yield backend
    backend._redis.close()


def test_studies_are_migrated_once(shell: Inside, server: Server, log: JournalRedisBackend) -> None:
    stock = optuna.create_study(storage=JournalStorage(log), study_name="my grid")
    stock.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    stock.ask()
    source = f"{server.url}#old"
    planned, done, again = (
        shell.qwf("study", "migrate", source, *options) for options in (["--dry-run"], ["--json"], [])
    )
    name = "my_grid-4ff8a039"
    assert planned.lines == [f"would take over 'my grid' as {name}: 4 trials, 1 that ran fail"]
    assert json.loads(done.out)["studies"] == [
        {"name": name, "old_name": "my grid", "trials": 4, "failed": 1, "was_there": False}
    ]
    assert again.lines == [f"is there already: 'my grid' as {name}"]
    named = shell.qwf("study", "migrate", source, "--study", "my grid", "--as", "grid", "--keep-running")
    assert named.lines == ["took over 'my grid' as grid: 4 trials"]
    with server.plain as client:
        client.delete("old:log:3")
    hole, skipped = (
        shell.qwf("study", "migrate", source, "--study", "my grid", "--as", "less", *options)
        for options in ([], ["--skip-holes"])
    )
    assert (hole.status, len(hole.lines)) == (5, 1)
    assert "entry 3 of 11" in hole.lines[0]
    assert "--skip-holes leaves it out" in hole.lines[0]
    assert skipped.lines[0].startswith(f"entry 3 of {source} is missing and was left out")


def test_what_cannot_be_migrated_is_said_in_one_line(
    shell: Inside, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwf_async.study.foreign.source.PATIENCE", 0.1)
    path = shell.directory / "journal"
    optuna.create_study(storage=JournalStorage(JournalFileBackend(str(path))), study_name="s")
    with path.open("ab") as file:
        file.write(b"torn")
    (torn,) = study(shell, "migrate journal")
    assert torn.lines == [f"line 2 of {path} is torn and was left out", "took over s: 0 trials"]
    told = study(
        shell,
        "migrate none",
        "migrate ftp://host",
        "migrate oracle://host/x",
        "migrate journal --study none",
        f"migrate {server.url}#none",
        "migrate redis://127.0.0.1:1#x",
        "migrate mysql+nothing://host/x",
    )
    assert [one.status for one in told] == [7, 2, 2, 7, 7, 3, 2]
    assert all(len(one.lines) == 1 for one in told)
