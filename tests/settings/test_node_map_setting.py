"""The setting `node_map` by every road, and what is said of a wrong entry."""

from __future__ import annotations

import pytest

from qwf_async.errors import UsageError
from qwf_async.settings import Settings, load
from tests.support.settings_files import Write


def test_the_map_comes_from_each_kind_of_source(write: Write) -> None:
    wanted = {"10.0.0.1:6379": "h:1", "ab": "/s"}
    text = "10.0.0.1:6379=h:1,ab=/s"
    table = '[node_map]\n"10.0.0.1:6379" = "h:1"\nab = "/s"'
    json = '{"redis": {"node_map": {"10.0.0.1:6379": "h:1", "ab": "/s"}}}'
    top = '{"node_map": {"10.0.0.1:6379": "h:1", "ab": "/s"}}'
    assert load(environ={"QWF_NODE_MAP": text}).node_map == wanted
    assert load(environ={}, node_map=text).node_map == wanted
    assert load(write("a.toml", table), environ={}).node_map == wanted
    assert load(write("b.toml", f"node_map = '{text}'"), environ={}).node_map == wanted
    assert load(write("a.json", json), environ={}).node_map == wanted
    assert load(write("b.json", top), environ={}).node_map == wanted
    assert Settings(node_map=wanted).node_map == wanted
    assert load(environ={}).node_map == {}


def test_a_bad_entry_is_named() -> None:
    for text, entry in (
        ("a=b,c", "the entry 'c'"),
        ("a=b,c=d:x", "the entry 'c=d:x' has 'd:x'"),
        ("a=b,a=c", "'a' is there twice"),
        ("a=b,c:99999=d", "the entry 'c:99999=d'"),
        ("a=u@h", "the entry 'a=u@h'"),
    ):
        with pytest.raises(UsageError) as raised:
            load(environ={"QWF_NODE_MAP": text})
        assert "node_map" in str(raised.value)
        assert "(environment QWF_NODE_MAP)" in str(raised.value)
        assert entry in str(raised.value)
