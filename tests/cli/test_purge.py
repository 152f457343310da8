"""`qwf server stop --purge` deletes the data of the embedded server, after a question, and nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import Shell


def test_purge_asks_first_and_leaves_what_is_not_ours(tmp_path: Path) -> None:
    data = tmp_path / "data"
    shell = Shell.at(tmp_path, QWF_DATA_DIR=str(data))
    try:
        assert shell.qwf("ingest", "gaussian", "--grid", "8x1", "--quiet").status == 0
        (data / "notes.txt").write_text("mine")
        unasked = shell.qwf("server", "stop", "--purge")
        assert unasked.status == 2
        assert unasked.lines == [
            f"qwf: delete all data of the server in {data}? There is no terminal to answer on: --yes says yes (exit 2)"
        ]
        status, said = shell.on_terminal("server", "stop", "--purge", typed="n\n")
        assert status == 8
        assert "[y/N]" in said
        assert "nothing was deleted" in said
        assert '"running": true' in shell.qwf("server", "status", "--json").out
        status, said = shell.on_terminal("server", "stop", "--purge", typed="y\n")
        assert status == 0
        assert "is deleted" in said
        assert [path.name for path in data.iterdir() if path.name != "spool"] == ["notes.txt"]
    finally:
        shell.qwf("server", "stop", "--purge", "--yes")
