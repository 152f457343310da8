"""The older system's JSON file: comments, keys of redis-py that are used, ignored with a word, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qwf_async.errors import UsageError
from qwf_async.settings import Settings, load
from qwf_async.settings.redis_config import plain_json
from tests.conftest import Server
from tests.support.command import Shell

GUIDE = """{
    // how the jobs of the container reach the server
    "host": "localhost",          // or 127.0.0.1
    "port": %d,
    "db": 0,
    "password": null,
    /* redis-py's own, over
       two lines */
    "socket_keepalive": true,
    "retry_on_timeout": true,
    "socket_timeout": 30,
    "max_connections": 50,
    "decode_responses": true,
    // "health_check_interval": 30
}
"""


def settings_of(path: Path, text: str) -> tuple[Settings, list[str]]:
    path.write_text(text)
    said: list[str] = []
    return load(path, environ={}, warn=said.append), said


def test_the_guides_file_is_read_with_its_comments(tmp_path: Path) -> None:
    path = tmp_path / "redis_config.json"
    found, said = settings_of(path, GUIDE % 6380)
    assert (found.url, found.socket_timeout, found.max_connections) == ("redis://localhost:6380/0", 30, 50)
    assert said == [
        f"file {path}: decode_responses, retry_on_timeout, socket_keepalive have no meaning here and are ignored"
    ]


def test_what_stands_in_a_text_is_no_comment(tmp_path: Path) -> None:
    found, said = settings_of(tmp_path / "a.json", '{"url": "redis://h:1/2", "prefix": "a" // "b"\n}')
    assert (found.url, found.prefix, said) == ("redis://h:1/2", "a", [])
    for text in (r'{"a": "\"// no\\"}', '{"a": ",}"}', '{"a": "/* no */"}', '{"a": [1, 2], "b": {}}'):
        assert plain_json(text) == text
    assert plain_json('["' + "\\" * 400_001) == '["' + "\\" * 400_001  # in no time
    assert plain_json("/*" + " /*" * 400_000) == " "


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ('"username": "lab", "password": "a/b"', {"url": "redis://lab:a%2Fb@localhost:6379/0"}),
        ('"username": "lab"', {"url": "redis://lab@localhost:6379/0"}),
        ('"host": "h", "ssl": true', {"url": "rediss://h:6379/0"}),
        ('"host": "h", "ssl": false', {"url": "redis://h:6379/0"}),
        ('"ssl_ca_certs": "/a", "ssl_certfile": "/b", "ssl_keyfile": "/c"',
         {"tls_ca": Path("/a"), "tls_cert": Path("/b"), "tls_key": Path("/c")}),
        ('"redis": {"host": "h", "socket_keepalive_options": {"1": 2}}', {"url": "redis://h:6379/0"}),
    ],
)  # fmt: skip
def test_keys_that_name_the_server_are_used(tmp_path: Path, keys: str, expected: dict[str, Any]) -> None:
    found, _ = settings_of(tmp_path / "a.json", f"{{{keys}}}")
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('"socket_keep_alive": true', "unknown key 'socket_keep_alive'"),
        ('"ssl_cert_reqs": "none"', "unknown key 'ssl_cert_reqs'"),
        ('"ssl": "yes"', "ssl = 'yes'"),
        ('"ssl_ca_certs": "/a", "tls_ca": "/b"', "ssl_ca_certs and tls_ca .* are the same"),
        ('"host": "h" "port": 1', "cannot be used"),
        ('"host": "h",, "port": 1', "cannot be used"),
    ],
)
def test_other_keys_are_refused_by_name(tmp_path: Path, keys: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        settings_of(tmp_path / "a.json", f"{{{keys}}}")


def test_toml_knows_none_of_them(tmp_path: Path) -> None:
    for line in ("socket_keepalive = true", "ssl = true", "ssl_ca_certs = 'a'"):
        with pytest.raises(UsageError, match="unknown key"):
            settings_of(tmp_path / "a.toml", line)


def test_in_python_a_warning_says_what_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"encoding": "utf-8"}')
    with pytest.warns(UserWarning, match="encoding has no meaning here and is ignored"):
        load(tmp_path / "a.json", environ={})


def test_commands_say_it_in_one_line_and_reach_the_server(tmp_path: Path, server: Server) -> None:
    shell = Shell.at(tmp_path)
    (tmp_path / "redis_config.json").write_text(
        f'{{"url": "{server.url}", // the one of this test\n "retry_on_timeout": true}}'
    )
    for arguments in (("ls",), ("config", "show")):
        done = shell.qwf(*arguments, "--config", "redis_config.json")
        assert done.status == 0, done.err
        assert done.lines == ["file redis_config.json: retry_on_timeout has no meaning here and is ignored"]
