"""Settings, passwords and keys are read from regular files of bounded size; nothing else is waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qwf_async.host.small_files import MAX_SMALL_FILE_BYTES, read_small_file
from tests.support.command import Shell


@pytest.mark.parametrize("size", [0, 1, MAX_SMALL_FILE_BYTES])
def test_a_small_file_is_read_whole(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    (tmp_path / "link").symlink_to("file")
    assert read_small_file(tmp_path / "file") == read_small_file(tmp_path / "link") == content


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(10 * 2**30)
    with pytest.raises(ValueError, match="larger than 1 MiB"):
        read_small_file(tmp_path / "file")


def test_a_pipe_or_a_device_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ValueError, match="no regular file"):
            read_small_file(path)
    with pytest.raises(IsADirectoryError):
        read_small_file(tmp_path)


@pytest.mark.parametrize(
    ("option", "variables"),
    [
        (["--config", "pipe.json"], {}),
        (["--config", "pipe.toml"], {}),
        (["--password-file", "pipe"], {}),
        ([], {"QWF_TLS_CA": "pipe"}),
        ([], {"QWF_TLS_CERT": "pipe"}),
    ],
)
def test_the_command_line_refuses_a_pipe_at_once(
    tmp_path: Path, option: list[str], variables: dict[str, str]
) -> None:
    for name in ("pipe", "pipe.json", "pipe.toml"):
        os.mkfifo(tmp_path / name)
    shell = Shell.at(tmp_path, QWF_URL="rediss://127.0.0.1:1", **variables)
    outcome = shell.qwf("ls", *option)
    assert (outcome.status, len(outcome.lines)) == (2, 1)
    assert "no regular file" in outcome.err
    assert "pipe" in outcome.err
