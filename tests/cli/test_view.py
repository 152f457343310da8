"""`qwf view`: its address, the browser that it opens, how it ends, and what it refuses."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest

import qwf_async as qwf
from tests.conftest import Server, new_server
from tests.support.command import Begun, Shell

EVERYWHERE = "0.0.0.0"  # noqa: S104 # what is refused to nobody but those without the token
UNTIL = "the page is there until Ctrl-C"
ADDRESS = r"^http://127\.0\.0\.1:\d+/\?token=[\w-]{20,}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    for server in new_server("valkey"):
        with qwf.open(server.url) as store:
            store.ingest(np.ones((6, 5, 4), complex), "run")
        yield server


@pytest.fixture
def shell(server: Server, tmp_path: Path) -> Shell:
    """Without a display: the browser is what a test names."""
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "SSH_CONNECTION")
    environment = {name: value for name, value in shell.environment.items() if name not in hidden}
    return Shell(directory=shell.directory, environment=environment)


def line_of(begun: Begun) -> str:
    """The first line of standard output, as it comes."""
    assert begun.process.stdout is not None
    return begun.process.stdout.readline().decode().rstrip()


def status_of(url: str) -> int:
    try:
        with urlopen(url.partition("#")[0], timeout=60) as answer:  # noqa: S310 # our own address
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_page_is_at_the_address_until_a_signal(shell: Shell, number: int, status: int) -> None:
    with shell.begin("view", "--port", "0") as begun, shell.begin("view", "--no-browser", "-q") as other:
        url, other_url = line_of(begun), line_of(other)
        assert re.search(ADDRESS + "$", url)
        assert url != other_url
        begun.await_said("no display: open the address in a browser")
        assert [status_of(text) for text in (url, url + "x", other_url, url.partition("?")[0])] == [
            200,
            403,
            200,
            403,
        ]
        port = int(url.partition("/?")[0].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as held:
            held.sendall(b"GET /")  # a browser that holds its connection
            begun.signal(number)
            outcome = begun.end()
        other.signal(number)
        quiet = other.end()
    assert (outcome.status, quiet.status) == (status, status)
    assert outcome.lines[:2] == [UNTIL, "no display: open the address in a browser"]
    assert outcome.lines[2].endswith("; the page is not shown any more" + " (exit 130)" * (status == 130))
    assert quiet.out == ""
    assert len(quiet.lines) == (status == 130)


def test_the_browser_is_opened_at_what_is_named_and_may_fail(shell: Shell, tmp_path: Path) -> None:
    seen, browser = tmp_path / "seen", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nread line\necho "$1 $line" > {seen}\necho chatter\nexit 3\n')
    browser.chmod(0o755)
    with shell.having(BROWSER=str(browser)).begin("view", "run", "--json", "--port", "0") as begun:
        told = json.loads(line_of(begun))
        begun.await_said("no browser could be started: open the address yourself")
        begun.signal(signal.SIGTERM)
        outcome = begun.end()
    assert list(told) == ["url", "host", "port", "token"]
    assert told["url"] == f"http://127.0.0.1:{told['port']}/?token={told['token']}#name=run"
    assert seen.read_text().split() == [told["url"]]
    assert outcome.out == ""


def test_a_browser_that_does_not_return_holds_nothing_up(shell: Shell, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\nexec sleep 600\n")
    browser.chmod(0o755)
    with shell.having(BROWSER=f"{browser} %s").begin("view", "--port", "0") as begun:
        begun.await_said(UNTIL)
        begun.signal(signal.SIGINT)
        begun.signal(signal.SIGINT)
        assert begun.end().status == 130


def test_what_cannot_be_shown_is_refused_in_one_line(shell: Shell, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        in_use, absent, near, away = shell.each(
            ["view", "--port", port],
            ["view", "nothing-like-it"],
            ["view", "rum"],
            ["view", "-u", "redis://127.0.0.1:1"],
        )
    assert [
        (outcome.status, len(outcome.lines), outcome.out) for outcome in (in_use, absent, near, away)
    ] == [
        (2, 1, ""),
        (7, 1, ""),
        (7, 1, ""),
        (3, 1, ""),
    ]
    assert f"cannot listen at 127.0.0.1:{port}: the port is in use; choose another one" in in_use.err
    assert "did you mean" not in absent.err
    assert "(did you mean 'run'?)" in near.err
    (tmp_path / "uvicorn.py").write_text("raise ImportError")
    missing = (
        shell.having(PYTHONPATH=f"{tmp_path}:{shell.environment['PYTHONPATH']}").begin_anew("view").end()
    )
    assert (missing.status, len(missing.lines)) == (2, 1)
    assert "pip install 'qwf_async[web]'" in missing.err


def test_who_is_elsewhere_is_told_how_to_get_there(shell: Shell) -> None:
    with shell.having(SSH_CONNECTION="a 1 b 22").begin("view", "--host", EVERYWHERE, "--port", "0") as begun:
        url = line_of(begun)
        assert status_of(url) == 200
        said = begun.await_said("ssh -L")
        begun.signal(signal.SIGTERM)
        assert begun.end().status == 0
    assert said.splitlines()[0].startswith("others on the network")
    assert EVERYWHERE not in url
