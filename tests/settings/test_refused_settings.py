"""Bad values, files and flags are refused in one line that says what is allowed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from qwf_async.errors import UsageError
from qwf_async.settings import Settings
from tests.support.settings_files import NAMES, SECRET, Write, refusal

BAD: list[tuple[str, list[Any], str]] = [
    ("url", [""], "text, of length at least 1"),
    ("data_dir", ["", "a\0b", 1, "~nosuchuser/x"], "a path"),
    ("password_file", [3], "a path"),
    ("tls_ca", ["", 3], "a path"),
    ("tls_cert", ["", 3], "a path"),
    ("tls_key", ["", 3], "a path"),
    ("node_map", ["a", "a=b=c", "a=", "=b", "a=b,", "a=b:x", "a=b:0", "a=b:65536", 3], "announced=reachable"),
    ("read_from", ["", "replicas", "secondary"], "primary or replica"),
    ("prefix", ["", "a" * 129, "a b", "qwf\n"], "matching ^[A-Za-z0-9._-]{1,128}"),
    ("read_from", ["", "replicas", 3], "primary or replica"),
    ("spool_dir", ["", 3], "a path"),
    ("spool_after", [-1, 31_536_001], "a number, at least 0, at most 31536000"),
    ("spool_limit", [-1, 2**50 + 1, "5 apples"], "a number of bytes, or text such as '512mb', at least 0"),
    ("writers", [0, 65, 2**70, 1.5, True], "a whole number, at least 1, at most 64"),
    ("producers", [0, 65, 1.5, True], "a whole number, at least 1, at most 64"),
    ("clean_batch", [0, 100_001], "at least 1, at most 100000"),
    ("max_connections", [0, 65_536], "at least 1, at most 65535"),
    (
        "stream_bytes",
        [65_535, 2**40 + 1, "8 apples"],
        f"text such as '512mb', at least 65536, at most {2**40}",
    ),
    ("memory_limit", [2**20 - 1, 2**51, "3 gib"], f"at least {2**20}, at most {2**50}"),
    ("replicas", [-1, 101, 1.5], "a whole number, at least 0, at most 100"),
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
        assert f"(argument {name})" in message
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
    assert "unknown argument maxrate: the nearest is max_rate" in refusal(environ={}, maxrate=1)
    message = refusal(environ={}, password=SECRET)
    assert "QWF_PASSWORD" in message
    assert SECRET not in message
