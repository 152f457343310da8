"""Settings: precedence, provenance, files and where they are found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from qwf_async.settings import Settings, load, trace
from tests.support.settings_files import SECRET, Write


def test_without_file_variables_or_flags_everything_is_default(tmp_path: Path) -> None:
    found, origins = trace(environ={})
    assert found == Settings()
    assert found.data_dir == tmp_path / "home" / "qwf_async"
    assert origins == dict.fromkeys(Settings.__dataclass_fields__, "default")


def test_flags_rank_above_environment_above_file_above_defaults(write: Write) -> None:
    full, bare = write("full.toml", "writers = 5"), write("bare.toml", "")
    for path, environ, flag, value, origin in (
        (full, {"QWF_WRITERS": "6"}, 7, 7, "argument writers"),
        (full, {"QWF_WRITERS": "6"}, None, 6, "environment QWF_WRITERS"),
        (full, {"QWF_WRITERS": ""}, None, 5, f"file {full}"),
        (bare, {}, None, 4, "default"),
        (bare, {}, 7, 7, "argument writers"),
    ):
        found, origins = trace(path, environ=environ, writers=flag)
        assert (found.writers, origins["writers"]) == (value, origin)


def test_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWF_PREFIX", "lab")
    assert (load().prefix, load(environ={}).prefix) == ("lab", "qwf")


def test_url_is_also_taken_from_redis_url() -> None:
    found, origins = trace(environ={"REDIS_URL": "redis://a"})
    assert (found.url, origins["url"]) == ("redis://a", "environment REDIS_URL")
    assert load(environ={"REDIS_URL": "redis://a", "QWF_URL": "redis://b"}).url == "redis://b"


@pytest.mark.parametrize(
    ("text", "count"),
    [("3gb", 3 * 2**30), ("512mb", 512 * 2**20), ("2M", 2_000_000), ("4096 kb", 2**22), ("2097152", 2**21)],
)
def test_sizes_are_written_as_the_server_writes_them(write: Write, text: str, count: int) -> None:
    assert load(environ={"QWF_MEMORY_LIMIT": text}).memory_limit == count
    assert load(environ={}, stream_bytes=text).stream_bytes == count
    assert load(write("a.json", {"memory_limit": text}), environ={}).memory_limit == count


def test_file_is_found_by_variable_and_in_the_usual_place(tmp_path: Path, write: Write) -> None:
    folder = tmp_path / "home" / "qwf_async"
    folder.mkdir()
    (folder / "config.json").write_text('{"writers": 2}')
    assert trace(environ={})[1]["writers"] == f"file {folder / 'config.json'}"
    (folder / "config.toml").write_text("writers = 3")
    assert load(environ={}).writers == 3
    named = write("named.toml", "writers = 5")
    assert load(environ={"QWF_CONFIG": str(named)}).writers == 5
    assert load(write("given.toml", "writers = 6"), environ={"QWF_CONFIG": str(named)}).writers == 6


def test_paths_start_from_the_home_or_from_the_directory_of_the_file(tmp_path: Path, write: Write) -> None:
    (tmp_path / "secret").write_text("pw\n")
    found = load(write("a.toml", "data_dir = 'data'\npassword_file = 'secret'"), environ={})
    assert (found.data_dir, found.password) == (tmp_path / "data", "pw")
    assert load(environ={"QWF_DATA_DIR": "~/d"}).data_dir == tmp_path / "home" / "d"


def test_byte_order_mark_is_no_obstacle(write: Write) -> None:
    assert load(write("a.toml", "\ufeffwriters = 3"), environ={}).writers == 3
    assert load(write("a.json", '\ufeff{"writers": 3}'), environ={}).writers == 3


OLD_NAMES = ("socket_timeout", "socket_connect_timeout", "health_check_interval", "max_connections")


OLDER = dict(zip(OLD_NAMES, (30, 20, 15, 40), strict=True))


@pytest.mark.parametrize("wrap", [lambda d: d, lambda d: {"redis": d}, lambda d: {"redis_config": d}])
def test_json_of_the_older_system(write: Write, wrap: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    address = {"host": "db.example", "port": 6380, "db": 2, "password": SECRET}
    path = write("redis_config.json", wrap(OLDER | address))
    found, origins = trace(path, environ={})
    assert {name: getattr(found, name) for name in OLDER} == OLDER
    assert found.url is not None
    parts = urlsplit(found.url)
    assert (parts.scheme, parts.hostname, parts.port, parts.path) == ("redis", "db.example", 6380, "/2")
    assert unquote(parts.password or "") == SECRET
    assert {origins[name] for name in (*OLDER, "url")} == {f"file {path}"}


def test_parts_missing_from_an_older_address_are_the_usual_ones(write: Write) -> None:
    for address, url in (
        ({"host": "h"}, "redis://h:6379/0"),
        ({"db": 3, "password": None}, "redis://localhost:6379/3"),
        ({"host": "::1", "port": 1, "password": ""}, "redis://[::1]:1/0"),
    ):
        assert load(write("a.json", address), environ={}).url == url


def test_url_variable_replaces_an_older_address_and_its_password(write: Write) -> None:
    path = write("a.json", {"host": "h", "password": SECRET})
    found = load(path, environ={"QWF_URL": "redis://other"})
    assert (found.url, found.password) == ("redis://other", None)


def test_importing_settings_is_cheap() -> None:
    heavy = ["numpy", "redis", "anyio", "typer", "rich", "platformdirs"]
    program = f"import qwf_async.settings, sys; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
