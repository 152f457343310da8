"""What a command does not import: most of what a short command costs is imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Server
from tests.support.command import Shell

RUN = """\
import sys
from qwf_async.cli.app import app
for command in {commands!r}:
    app(command, standalone_mode=False)
print(*sorted(set({heavy!r}) & set(sys.modules)), file=sys.stderr)
"""
NO_SERVER = ("anyio", "asyncio", "hiredis", "msgspec", "numpy", "pydantic", "redis", "uvloop")
"""What a command that asks no server has no use for."""

NO_INGEST = (
    *("dask", "html", "matplotlib", "optuna", "pydantic", "rich", "scipy", "sqlite3", "xarray"),
    *(
        "qwf_async.catalog.cleaning",
        "qwf_async.embedded.servers",
        "qwf_async.ingesting",
        "qwf_async.plotting",
    ),
    *("qwf_async.source", "qwf_async.spool", "qwf_async.store.updating", "qwf_async.study"),
    *("qwf_async.cli.ingest", "qwf_async.cli.plot", "qwf_async.cli.study"),
)
"""What a command that reads a value has no use for."""


@pytest.fixture
def shell(server: Server, tmp_path: Path) -> Shell:
    np.save(tmp_path / "psi.npy", np.ones((1, 2, 3, 4), complex))
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    assert shell.qwf("ingest", "psi.npy", "--quiet").status == 0
    return shell


@pytest.mark.parametrize(
    ("commands", "heavy"),
    [
        ([["--version"], ["help"], ["help", "keys", "--raw"], ["--help"], ["ingest", "--help"]], NO_SERVER),
        ([["ls"], ["get", "psi", "1", "2", "3"], ["where", "psi", "0"]], NO_INGEST),
    ],
    ids=["no server", "read"],
)
def test_short_commands_import_nothing_heavy(
    shell: Shell, commands: list[list[str]], heavy: tuple[str, ...]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(commands=commands, heavy=heavy)],
        env=dict(shell.environment),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.split() == []


def test_a_short_command_starts_no_threads_that_multiply_matrices(shell: Shell) -> None:
    count = "import os; print(len(os.listdir('/proc/self/task')), os.environ['OPENBLAS_NUM_THREADS'])"
    run = f"from qwf_async.cli.app import app\napp(['get', 'psi', '1'], standalone_mode=False)\n{count}"
    environment = {k: v for k, v in shell.environment.items() if k != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", run], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "1 1"
