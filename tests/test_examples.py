"""The worked examples of the README, run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import ROOT, Shell
from conftest import new_server

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
