"""Commands that the program itself proposes, run as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from qwf_async.cli.options import ServerOptions
from tests.conftest import Server, new_server
from tests.support.command import ROOT, Shell


def test_states_that_the_help_of_ingest_stores_can_be_stored_as_written(tmp_path: Path) -> None:
    text = (ROOT / "qwf_async/cli/ingest.py").read_text("utf-8")
    found = re.findall(r"qwf (ingest (?:hydrogen|gaussian)\S* --grid [^#\n]*)", text)
    assert len(found) >= 2
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
