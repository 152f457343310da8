"""`qwf watch` on real servers: one sample, samples as JSON lines, the page on a terminal, and what is refused."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server, new_server
from tests.support.command import ROOT, Shell
from tests.support.loads import ask

NOWHERE = "redis://127.0.0.1:1"
SAMPLE = ["time", "servers", "away", "loads", "spools", "connections"]


@pytest.fixture(scope="module", params=["valkey", "redis"])
def watched(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Shell, Server]]:
    for server in new_server(request.param, maxmemory="1gb"):
        yield Shell.at(tmp_path_factory.mktemp("watch"), QWF_URL=server.url), server


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_one_sample_and_nothing_is_changed(watched: tuple[Shell, Server]) -> None:
    shell, server = watched
    ask(server, "HSET", "qwf:{gone}:scratch", "a", "b")
    before = server.contents()
    outcome, shown = shell.each(["watch", "--once", "--json"], ["watch", "--once"])
    assert (outcome.status, outcome.err, shown.status, shown.err) == (0, "", 0, "")
    (sample,) = objects(outcome.out)
    assert list(sample) == SAMPLE
    (told,) = sample["servers"]
    assert told["where"] == server.url
    assert told["software"] == server.software
    assert told["limit"] == 2**30
    assert told["settings"]["maxmemory"] == str(2**30)
    assert told["recent"] is None
    assert (sample["loads"], sample["spools"], sample["away"]) == ([], [], [])
    assert sample["connections"]["opened"] == 1
    watching = (ROOT / "qwf_async/help/deployment.md").read_text().partition("## Watching")[2]
    documented = set(re.findall(r"`([a-z_]+)`", watching))
    assert {*sample, *told, *sample["connections"]} - documented == {
        "turned_away",
        "timeouts",
        "checks",
        "success",
    }
    assert re.search(r"memory +█?░+ +[\d.]+ MB of 1\.1 GB \(<1 %\) +peak", shown.out)
    assert "\x1b" not in shown.out
    assert server.contents() == before
    ask(server, "DEL", "qwf:{gone}:scratch")


def test_settings_are_in_the_first_sample_and_where_they_change(watched: tuple[Shell, Server]) -> None:
    shell, server = watched
    with shell.begin("watch", "--json", "--interval", "0.1") as watching:
        assert watching.process.stdout is not None
        lines = (json.loads(line) for line in watching.process.stdout)
        samples = [line for _, line in zip(range(4), lines, strict=False)]
        assert [("settings" in each["servers"][0]) for each in samples] == [True, False, False, False]
        assert samples[1]["servers"][0]["recent"]["seconds"] > 0.05
        ask(server, "CONFIG", "SET", "appendfsync", "always")
        changed = next(line for line in lines if "settings" in line["servers"][0])
        assert changed["servers"][0]["settings"]["appendfsync"] == "always"
        watching.signal(signal.SIGTERM)
        assert watching.end().status == 0
    ask(server, "CONFIG", "SET", "appendfsync", "everysec")


def test_a_live_page_on_a_terminal_leaves_it_as_it_was(watched: tuple[Shell, Server]) -> None:
    shell, _ = watched
    status, shown = shell.on_terminal("watch", stop=signal.SIGINT, after="noeviction")
    assert status == 130
    page, left = shown.split("\x1b[?1049l")
    assert page.startswith("\x1b[?1049h")
    assert re.search(r"[\d.]+ MB of 1\.1 GB", page)
    assert left == "qwf: stopped by SIGINT; not watching any more (exit 130)\r\n"
    status, shown = shell.having(TERM="dumb").on_terminal("watch", stop=signal.SIGTERM, after="noeviction")
    assert status == 0
    assert "\x1b" not in shown


def test_what_is_no_interval_is_refused_and_a_server_that_is_away_is_an_error(tmp_path: Path) -> None:
    shell = Shell.at(tmp_path, QWF_URL=NOWHERE, QWF_DEADLINE="0.1")
    short, endless, away = shell.each(
        ["watch", "--interval", "0.09"], ["watch", "--interval", "inf"], ["watch", "--once"]
    )
    assert (short.status, endless.status, away.status) == (2, 2, 3)
    for outcome in (short, endless, away):
        assert len(outcome.lines) == 1, outcome
    assert "at least 0.1" in short.err
