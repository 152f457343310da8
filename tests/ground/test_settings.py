"""Settings: precedence, provenance, older JSON files, bad values, and passwords kept out of sight."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from qwf_async.cli.config import config
from qwf_async.errors import UsageError
from qwf_async.settings import Settings, load, trace

SECRET = "hunter2/%@:x"
NAMES = sorted(Settings.__dataclass_fields__)

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with no settings at all, whoever runs the tests."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(home))
    for name in ("QWF_CONFIG", "REDIS_URL", *(f"QWF_{field.upper()}" for field in NAMES)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, content: str | dict[str, Any]) -> Path:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def refusal(*args: Any, **kwargs: Any) -> str:
    with pytest.raises(UsageError) as caught:
        load(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    return message


def test_without_file_variables_or_flags_everything_is_default(tmp_path: Path) -> None:
    found, origins = trace(environ={})
    assert found == Settings()
    assert found.data_dir == tmp_path / "home" / "qwf_async"
    assert origins == dict.fromkeys(Settings.__dataclass_fields__, "default")


def test_flags_rank_above_environment_above_file_above_defaults(write: Write) -> None:
    full, bare = write("full.toml", "writers = 5"), write("bare.toml", "")
    for path, environ, flag, value, origin in (
        (full, {"QWF_WRITERS": "6"}, 7, 7, "flag --writers"),
        (full, {"QWF_WRITERS": "6"}, None, 6, "environment QWF_WRITERS"),
        (full, {"QWF_WRITERS": ""}, None, 5, f"file {full}"),
        (bare, {}, None, 4, "default"),
        (bare, {}, 7, 7, "flag --writers"),
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


BAD: list[tuple[str, list[Any], str]] = [
    ("url", [""], "text, of length at least 1"),
    ("data_dir", ["", "a\0b", 1, "~nosuchuser/x"], "a path"),
    ("password_file", [3], "a path"),
    ("tls_ca", ["", 3], "a path"),
    ("tls_cert", ["", 3], "a path"),
    ("tls_key", ["", 3], "a path"),
    ("prefix", ["", "a" * 129, "a b", "qwf\n"], "matching ^[A-Za-z0-9._-]{1,128}"),
    ("spool_dir", ["", 3], "a path"),
    ("spool_after", [-1, 31_536_001], "a number, at least 0, at most 31536000"),
    ("spool_limit", [-1, 2**50 + 1, "5 apples"], "a number of bytes, or text such as '512mb', at least 0"),
    ("writers", [0, 65, 2**70, 1.5, True], "a whole number, at least 1, at most 64"),
    ("clean_batch", [0, 100_001], "at least 1, at most 100000"),
    ("max_connections", [0, 65_536], "at least 1, at most 65535"),
    (
        "stream_bytes",
        [65_535, 2**40 + 1, "8 apples"],
        f"text such as '512mb', at least 65536, at most {2**40}",
    ),
    ("memory_limit", [2**20 - 1, 2**51, "3 gib"], f"at least {2**20}, at most {2**50}"),
    ("max_rate", [0, 1e13, math.nan], "a number, above 0, at most 1000000000000.0"),
    ("sample_interval", [0.009, 60.1], "at least 0.01, at most 60"),
    ("ownership_ttl", [0.9, 1e9], "at least 1, at most 31536000"),
    *((name, [0, 1.01], "above 0, at most 1") for name in ("high_watermark", "low_watermark")),
    *((name, [0, 1e9], "above 0, at most") for name in ("socket_timeout", "socket_connect_timeout")),
    *(
        (name, [-1, math.inf], "at least 0, at most")
        for name in ("gate_timeout", "drain_timeout", "deadline")
    ),
    *((name, [-0.1, 1e9], "at least 0, at most") for name in ("keep_interrupted", "health_check_interval")),
]


@pytest.mark.parametrize(("name", "values", "bound"), BAD)
def test_bad_value_is_refused_with_its_bound(name: str, values: list[Any], bound: str) -> None:
    for value in [*values, [1]]:
        message = refusal(environ={}, **{name: value})
        assert message.startswith(f"{name} = ")
        assert f"(flag --{name.replace('_', '-')})" in message
        assert bound in message
        with pytest.raises(UsageError, match=name):
            Settings(**{name: value})


def test_every_setting_has_bad_values() -> None:
    assert {name for name, _, _ in BAD} == {*NAMES} - {"password"}


@pytest.mark.parametrize("text", ["four", " 4", "nan", "65", "\udcff", "9" * 5000])
def test_bad_text_in_a_variable_names_the_variable(text: str) -> None:
    message = refusal(environ={"QWF_WRITERS": text})
    assert "(environment QWF_WRITERS)" in message
    assert len(message) < 200


def test_text_is_no_number_in_a_file_even_if_it_is_overridden(write: Write) -> None:
    path = write("a.toml", "writers = '4'")
    message = refusal(path, environ={}, writers=4)
    assert message == f"writers = '4' (file {path}) must be a whole number, at least 1, at most 64"


def test_low_watermark_must_be_below_high() -> None:
    message = refusal(environ={"QWF_LOW_WATERMARK": "0.85"})
    assert "low_watermark = 0.85 (environment QWF_LOW_WATERMARK)" in message
    assert "high_watermark = 0.85 (default)" in message
    with pytest.raises(UsageError, match="must be below"):
        Settings(low_watermark=0.9)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.toml", "writer = 4", "unknown key 'writer'"),
        ("a.toml", "[qwf]\nwriter = 4", "nearest is 'writers'"),
        ("a.toml", "[qfw]\nwriters = 4", "unknown key 'qfw'"),
        ("a.json", {"redis": {"socket_time_out": None}}, "nearest is 'socket_timeout'"),
        ("a.json", {"x" * 1000: 1}, "unknown key"),
        ("a.toml", "writers = 4\n[qwf]\nwriters = 5", "'writers' (file "),
        ("a.json", {"redis": {}, "optuna": {}}, "2 objects"),
        ("a.json", "[1]", "one JSON object"),
        *(("a.json", content, "cannot be used") for content in ("{", "", "[" * 100_000)),
        *(
            ("a.toml", content, "cannot be used")
            for content in ("=", "a=" + "[" * 100_000, "a=" + "9" * 5000)
        ),
        ("a.toml", "writers = 0x" + "f" * 5000, "must be a whole number"),
        ("a.toml", "host = 'h'", "unknown key 'host'"),
        ("a.json", {"url": f"redis://:{SECRET}@a", "host": "b"}, "url alone"),
        ("a.toml", f"password = '{SECRET}'", "password_file"),
        ("a.json", {"host": f"u:{SECRET}@h"}, "host = *** "),
        ("a.json", {"host": "h", "port": 70_000}, "at most 65535"),
        ("a.json", {"db": -1}, "at least 0"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    write: Write, name: str, content: str | dict[str, Any], said: str
) -> None:
    path = write(name, content)
    message = refusal(path, environ={})
    assert said in message
    assert str(path) in message
    assert SECRET not in message
    assert len(message) < 400


def test_a_file_named_explicitly_must_exist(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    assert str(missing) in refusal(missing, environ={})
    assert str(missing) in refusal(environ={"QWF_CONFIG": str(missing)})
    assert "cannot be used" in refusal(tmp_path, environ={})
    assert "cannot be used" in refusal(Path("a\0b"), environ={})


def test_flags_that_do_not_exist_are_refused() -> None:
    assert "--max-rate" in refusal(environ={}, maxrate=1)
    message = refusal(environ={}, password=SECRET)
    assert "QWF_PASSWORD" in message
    assert SECRET not in message


def test_password_comes_from_where_it_ranks_highest(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "secret"
    path.write_text(f" {SECRET} \r\n")
    variable, file = {"QWF_PASSWORD": "pw"}, {"QWF_PASSWORD_FILE": str(path)}
    toml_file = write("a.toml", "password_file = 'secret'")
    from_variable, from_file = ("pw", "environment QWF_PASSWORD"), (f" {SECRET} ", f"file {path}")
    for settings_file, environ, flag, expected in (
        (None, variable, None, from_variable),
        (None, file, None, from_file),
        (None, variable | file, None, from_variable),
        (None, variable | file, path, from_file),
        (toml_file, {}, None, from_file),
        (toml_file, variable, None, from_variable),
    ):
        found, origins = trace(settings_file, environ=environ, password_file=flag)
        assert (found.password, origins["password"]) == expected


def test_password_file_must_be_readable_and_hold_something(tmp_path: Path) -> None:
    message = refusal(environ={"QWF_PASSWORD_FILE": "/missing"})
    assert message.startswith("password_file '/missing' (environment QWF_PASSWORD_FILE) must be readable")
    assert "must be readable" in refusal(environ={}, password_file=tmp_path)
    for content, said in ((b"\n", "is empty"), (b"\xff\xfe", "must be readable text")):
        (tmp_path / "secret").write_bytes(content)
        assert said in refusal(environ={}, password_file=tmp_path / "secret")


def test_repr_holds_no_password(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    found = load(environ={"QWF_URL": f"redis://:{SECRET}@h"}, password_file=path)
    assert found.password == SECRET
    assert SECRET not in repr(found)
    assert "writers=4" in repr(found)


KEYS = st.sampled_from([*NAMES, "host", "port", "db", "qwf"]) | st.text(max_size=12)
ODD = st.sampled_from([0.8, 10, "3gb", "~nosuchuser/x", "a\0b", "a\nb"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | ODD
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=6,
)


def toml(value: object) -> str:
    """`value` as inline TOML; JSON's strings are TOML's, but for DEL."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if value is None:
        return '"null"'
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def outcome(file: Path | None, environ: dict[str, str]) -> tuple[Settings, dict[str, str]] | str:
    """What `trace` returns, or the message of its refusal; anything else fails the test."""
    try:
        return trace(file, environ=environ)
    except UsageError as error:
        return str(error)


def loads_or_refuses(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    result = outcome(path, {})
    if isinstance(result, str):
        assert result.isprintable()
    else:
        found, origins = result
        assert found.low_watermark < found.high_watermark
        assert set(origins.values()) <= {"default", f"file {path}"}


several_examples = settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


SECONDS = st.floats(0.5, 60) | st.integers(1, 60)
VALID = st.fixed_dictionaries(
    {},
    optional={
        "url": st.just("redis://h:1/2"),
        "data_dir": st.sampled_from(["/a", "/b c/'d'"]),
        "prefix": st.from_regex(r"[A-Za-z0-9._-]{1,128}", fullmatch=True),
        "writers": st.integers(1, 64),
        "stream_bytes": st.integers(2**16, 2**40),
        "max_rate": st.floats(1e-3, 1e12),
        "high_watermark": st.floats(0.8, 1),
        "low_watermark": st.floats(0.01, 0.79),
        "memory_limit": st.integers(2**20, 2**50),
        "clean_batch": st.integers(1, 100_000),
        "max_connections": st.integers(1, 65_535),
        **{name: SECONDS for name in NAMES if name.endswith(("_timeout", "_interval"))},
        **{name: st.floats(1, 1e6) for name in ("ownership_ttl", "keep_interrupted", "deadline")},
    },
)


@several_examples
@given(document=VALID)
def test_valid_values_are_the_same_by_every_road(tmp_path: Path, document: dict[str, Any]) -> None:
    expected = Settings(**document)
    assert {name: getattr(expected, name) for name in document} == {
        name: Path(value) if name == "data_dir" else value for name, value in document.items()
    }
    lines = "\n".join(f"{name} = {toml(value)}" for name, value in document.items())
    for name, content in (
        ("a.json", json.dumps(document)),
        ("b.json", json.dumps({"redis": document})),
        ("a.toml", lines),
        ("b.toml", f"[qwf]\n{lines}"),
    ):
        (tmp_path / name).write_text(content)
        assert load(tmp_path / name, environ={}) == expected
    assert load(environ={f"QWF_{name.upper()}": str(value) for name, value in document.items()}) == expected
    assert load(environ={}, **document) == expected


@several_examples
@given(valid=VALID | st.just({}), other=st.dictionaries(KEYS, VALUES, max_size=3))
def test_any_document_is_loaded_or_refused_in_one_line(
    tmp_path: Path, valid: dict[str, Any], other: dict[str, Any]
) -> None:
    document = valid | other
    loads_or_refuses(tmp_path / "a.json", json.dumps(document).encode())
    lines = [f"{toml(key)} = {toml(value)}" for key, value in document.items()]
    loads_or_refuses(tmp_path / "a.toml", "\n".join(lines).encode())


@several_examples
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode()))
def test_any_bytes_are_loaded_or_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    loads_or_refuses(tmp_path / "a.json", content)
    loads_or_refuses(tmp_path / "a.toml", content)


@several_examples
@given(
    name=st.sampled_from([name for name in NAMES if name != "password"]),
    text=st.text(min_size=1, max_size=20),
)
def test_any_variable_is_taken_or_refused_in_one_line(name: str, text: str) -> None:
    result = outcome(None, {f"QWF_{name.upper()}": text})
    if isinstance(result, str):
        assert result.isprintable()
    else:
        assert result[1][name] == f"environment QWF_{name.upper()}"


def show(*arguments: str, **environ: str) -> Result:
    app = typer.Typer()
    app.add_typer(config)
    return CliRunner().invoke(app, ["config", "show", *arguments], env={"COLUMNS": "300", **environ})


def test_show_prints_every_value_and_its_origin(write: Write) -> None:
    path = write("a.toml", "writers = 9")
    arguments = ["--config", str(path), "--url", "unix:///run/[b].sock"]
    found = json.loads(show(*arguments, "--json", QWF_DEADLINE="7").stdout)
    assert list(found) == list(Settings.__dataclass_fields__)
    assert found["writers"] == {"value": 9, "from": f"file {path}"}
    assert found["deadline"] == {"value": 7.0, "from": "environment QWF_DEADLINE"}
    assert found["url"] == {"value": "unix:///run/[b].sock", "from": "flag --url"}
    assert found["max_rate"] == {"value": None, "from": "default"}
    lines = {line.split()[0]: line.split()[1:] for line in show(*arguments).stdout.splitlines()}
    assert lines["writers"] == ["9", "file", str(path)]
    assert lines["url"] == ["unix:///run/[b].sock", "flag", "--url"]
    assert lines["max_rate"] == ["not", "set", "default"]
    assert set(lines) == {"name", *NAMES}


@pytest.mark.parametrize("form", [["--json"], []])
def test_show_masks_passwords(tmp_path: Path, form: list[str]) -> None:
    (tmp_path / "secret").write_text("inthefile")
    secret = str(tmp_path / "secret")
    result = show("--url", "redis://me:intheurl@h:1/2", "--password-file", secret, *form)
    assert "redis://me:***@h:1/2" in result.stdout
    assert "intheurl" not in result.output
    assert "inthefile" not in result.output


@pytest.mark.parametrize("url", ["redis://:hun/ter2@h", "hunter2", "redis://:hunter2@h:x", "a://:hunter2@h"])
def test_show_does_not_repeat_a_url_that_does_not_parse(url: str) -> None:
    result = show(QWF_URL=url)
    assert isinstance(result.exception, UsageError)
    assert "environment QWF_URL" in str(result.exception)
    assert "hun" not in str(result.exception) + result.output
    assert "ter2" not in str(result.exception) + result.output


def test_show_prints_paths_that_are_not_utf8() -> None:
    assert "/d?" in show(QWF_DATA_DIR="/d\udcff").stdout


def test_importing_settings_is_cheap() -> None:
    heavy = ["numpy", "redis", "anyio", "typer", "rich", "platformdirs"]
    program = f"import qwf_async.settings, sys; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
