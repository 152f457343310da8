"""Where the nodes of a cluster are reached, by the setting `node_map`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.client.address import Address
from qwf_async.client.node_map import address_of, mapped
from qwf_async.client.slots import NodeAddress
from qwf_async.errors import Refused, UsageError
from qwf_async.settings import Settings, load

NODE = NodeAddress(id="07c37df", host="10.0.0.1", port=6379)
V6 = NodeAddress(id="07c37df", host="fe80::1", port=6379)


@pytest.mark.parametrize(
    ("node", "text", "place"),
    [
        (NODE, "10.0.0.2=h", ("10.0.0.1", 6379)),
        (NODE, "10.0.0.1=h", ("h", 6379)),
        (NODE, "10.0.0.1=h:1", ("h", 1)),
        (NODE, "10.0.0.1=h:1,10.0.0.1:6379=h:2", ("h", 2)),
        (NODE, " 10.0.0.1:6379=h:2 , 07c37df=h:3,10.0.0.1=h:1", ("h", 3)),
        (NODE, "10.0.0.1:6380=h:2", ("10.0.0.1", 6379)),
        (NODE, "07c37df=/run/a b@c.sock", Path("/run/a b@c.sock")),
        (NODE, "10.0.0.1=[::1]:7", ("::1", 7)),
        (NODE, "10.0.0.1=::1", ("::1", 6379)),
        (V6, "[fe80::1]:6379=h:1,fe80::1=h:2", ("h", 1)),
        (V6, "fe80::1=h", ("h", 6379)),
        (V6, "[fe80::1]=h:5", ("h", 5)),
        (NodeAddress(id="ab", host="?", port=1), "ab=h:2", ("h", 2)),
        (NodeAddress(id="ab", host="h", port=0), "ab=/s", Path("/s")),
    ],
)
def test_a_node_is_reached_where_the_map_says(node: NodeAddress, text: str, place: object) -> None:
    assert mapped(node, Settings(node_map=text).node_map) == place  # type: ignore[arg-type] # the text form


@pytest.mark.parametrize(("host", "port"), [("?", 6379), ("h", 0)])
def test_a_node_that_is_nowhere_is_refused_with_what_to_do(host: str, port: int) -> None:
    with pytest.raises(Refused, match=r"node ab is .*cluster-announce-.*node_map='ab=HOST:PORT'"):
        mapped(NodeAddress(id="ab", host=host, port=port), {"other": "h"})


def test_the_address_of_a_node_has_the_user_of_the_one_that_was_named() -> None:
    named = Address.parse("rediss+cluster://me:pw@h:1,g:2")
    assert address_of(NODE, named, {}).shown == "rediss://me:***@10.0.0.1:6379"
    assert address_of(NODE, named, {"10.0.0.1": "/s"}).shown == "unix:///s"


@given(st.text() | st.text(st.sampled_from("ab:=,[]/.1 @")))
def test_any_text_is_a_map_or_a_usage_error(text: str) -> None:
    try:
        found = load(environ={}, node_map=text).node_map
    except UsageError:
        return
    for announced in found:
        mapped(NodeAddress(id=announced, host="h", port=1), found)
