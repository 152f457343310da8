"""The worked examples of the README, run as they stand."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from qwf_async.cli.options import ServerOptions
from tests.conftest import Server, new_server
from tests.support.command import ROOT, Shell

HEADING = "## Worked examples"


@pytest.mark.timeout(
    300
)  # a dozen commands, among them a film of 200 frames: 13 s of a core, more where it is shared
def test_the_worked_examples_of_the_readme_run_as_they_stand(tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text("utf-8").partition(f"\n{HEADING}\n")[2].partition("\n## ")[0]
    blocks = [block.partition("```")[0] for block in section.split("```sh\n")[1:]]
    assert len(blocks) >= 2, f"README.md has no commands under {HEADING!r}"
    commands, work = tmp_path / "bin", tmp_path / "work"
    commands.mkdir()
    work.mkdir()
    for name, module in (("qwf", "-m qwf_async"), ("python", "")):
        (commands / name).write_text(f'#!/bin/sh\nexec {sys.executable} {module} "$@"\n')
        (commands / name).chmod(0o755)
    for server in new_server("valkey", maxmemory="1gb"):
        shell = Shell.at(work, QWF_URL=server.url, PATH=f"{commands}:{os.environ['PATH']}")
        for block in blocks:
            done = subprocess.run(
                ["bash", "-e", "-c", block],
                cwd=work,
                env=dict(shell.environment),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    written = {path.suffix for path in work.iterdir() if path.stat().st_size > 100}
    assert {".png", ".gif", ".csv"} <= written


def test_states_that_the_readme_and_the_help_store_can_be_stored_as_written(tmp_path: Path) -> None:
    texts = [(ROOT / name).read_text("utf-8") for name in ("README.md", "qwf_async/cli/ingest.py")]
    found = re.findall(r"qwf (ingest (?:hydrogen|gaussian)\S* --grid [^#\n]*)", "\n".join(texts))
    assert len(found) >= 4
    for server in new_server("valkey", maxmemory="1gb"):
        shell = Shell.at(tmp_path, QWF_URL=server.url)
        for command in dict.fromkeys(one.strip() for one in found):
            assert shell.qwf(*shlex.split(command), "--overwrite").status == 0, command


def test_the_command_that_an_ingest_proposes_asks_the_same_server(server: Server, tmp_path: Path) -> None:
    shell = Shell.at(tmp_path, QWF_DATA_DIR=str(tmp_path / "nobody's"))
    stored = shell.qwf("ingest", "gaussian:k=2", "--grid", "16x1", "-u", server.url)
    assert stored.status == 0
    proposed = stored.lines[-1].partition("try: qwf ")[2]
    assert shell.qwf(*shlex.split(proposed)).status == 0, proposed


def test_a_password_is_masked_in_the_command_that_an_ingest_proposes() -> None:
    options = ServerOptions(url="redis://lab:secret@localhost:6390", password_file=Path("my file"))
    assert options.command_line == " -u 'redis://lab:***@localhost:6390' --password-file 'my file'"
    assert ServerOptions().command_line == ""
