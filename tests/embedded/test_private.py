"""The files of the embedded server are its user's alone, and no file of another user is trusted."""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from qwf_async.embedded.data_dir import DataDir
from qwf_async.errors import InvalidInput
from tests.support.command import Shell

PASSWORD = "p@s:s/w%o#r?d&=+ψ é"


def modes(*directories: Path) -> dict[str, str]:
    """Modes of these directories and of all that is in them."""
    paths = [path for directory in directories for path in (directory, *directory.rglob("*"))]
    return {str(path): stat.filemode(path.lstat().st_mode) for path in paths}


def test_what_the_embedded_server_has_is_the_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="qwf-") as short:
        # A password that is meant for another server is not sent to this one.
        data_dir = str(tmp_path / "new" / "data")
        shell = Shell.at(tmp_path, XDG_RUNTIME_DIR=short, QWF_DATA_DIR=data_dir, QWF_PASSWORD=PASSWORD)
        qwf = f'umask 0; exec "{sys.executable}" -m qwf_async '
        try:
            for line in ("ingest gaussian --grid 8 --box 8", "server stop", "ls --json"):
                with shell.start(["sh", "-c", qwf + line]) as begun:
                    outcome = begun.end()
                assert outcome.status == 0, outcome.err
            found = modes(tmp_path / "new" / "data", Path(short) / "qwf")
            assert len([path for path in found if "/qwf." in path]) >= 6
            for path, mode in found.items():
                assert mode[4:] == "------", (path, mode)
            status = json.loads(shell.qwf("server", "status", "--json").out)
            assert listening_ports(status["pid"]) == set()
        finally:
            shell.qwf("server", "stop")


def listening_ports(pid: int) -> set[str]:
    """Addresses on which a process listens by TCP. Source: proc_pid_net(5); state 0A is LISTEN."""
    sockets = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        if (path := Path(f"/proc/{pid}/net/{table}")).exists()
        for line in path.read_text().splitlines()[1:]
    ]
    return {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}


def test_a_runtime_directory_that_is_not_ours_alone_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="qwf-") as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        planted = Path(short) / "qwf"
        assert DataDir.of(tmp_path).socket.parent == planted
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        planted.symlink_to(elsewhere)
        assert DataDir.of(tmp_path).socket.parent != planted
        planted.unlink()
        planted.mkdir()
        planted.chmod(0o770)
        assert DataDir.of(tmp_path).socket.parent != planted
        planted.chmod(0o700)
        assert DataDir.of(tmp_path).socket.parent == planted


def test_nothing_of_another_user_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As seen by a user to whom nothing here belongs."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "qwf.json").write_text(json.dumps({"socket": "/tmp/theirs", "host": "h"}))  # noqa: S108 # never opened
    place = DataDir.of(data)
    assert place.start_record() is not None
    if os.geteuid() == 0:
        os.chown(data, 4_000_001, -1)  # what is root's is trusted
    stranger = 4_000_002
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    assert place.start_record() is None
    with pytest.raises(InvalidInput, match="belongs to another user"):
        place.create()
    planted = Path(f"/tmp/qwf-{stranger}")  # noqa: S108 # as one who knows the name would
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(planted.parent))
    planted.mkdir(mode=0o700)
    try:
        with pytest.raises(InvalidInput, match="no place for the server's socket"):
            DataDir.of(data)
    finally:
        planted.rmdir()
