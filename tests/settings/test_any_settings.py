"""Any document, bytes or variable is loaded or refused in one line; valid values are the same by every road."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qwf_async.errors import UsageError
from qwf_async.settings import Settings, load, trace
from tests.support.settings_files import NAMES

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
        "read_from": st.sampled_from(["primary", "replica"]),
        "writers": st.integers(1, 64),
        "producers": st.integers(1, 64),
        "stream_bytes": st.integers(2**16, 2**40),
        "replicas": st.integers(0, 100),
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
