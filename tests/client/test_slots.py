"""The slots of keys and of groups, as a server computes them, and the table of a cluster's slots."""

from __future__ import annotations

from binascii import crc_hqx
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from qwf_async.client.guard import LISTING_BYTES, SLOT_TABLE_BYTES, Guard, ReplyRefused
from qwf_async.client.slots import NOBODY, SLOTS, NodeAddress, SlotTable, slot_of, slots_of_groups

ASKED = ("asked", 7000)
TAGGED = st.lists(st.sampled_from([b"{", b"}", b"a", b"", b"\xff", b"key"]), max_size=8).map(b"".join)


@pytest.mark.parametrize(
    ("key", "same"),
    [
        (b"123456789", None),
        (b"qwf:{psi}:meta", b"psi"),
        (b"foo{}{bar}", None),
        (b"foo{{bar}}zap", b"{bar"),
        (b"foo{bar}{zap}", b"bar"),
        (b"}{a}", b"a"),
        (b"{open", None),
    ],
)
def test_the_hash_tag_of_a_key_decides_its_slot(key: bytes, same: bytes | None) -> None:
    assert slot_of(key) == slot_of(key.decode()) == key_slot(same or key)
    assert slot_of(b"123456789") == 0x31C3


@given(st.binary() | TAGGED)
def test_a_slot_is_that_of_another_library(key: bytes) -> None:
    tag = key
    if b"{" in key:
        tag, brace, _ = key.partition(b"{")[2].partition(b"}")
        tag = tag if brace and tag else key
    assert slot_of(key) == crc_hqx(tag, 0) % SLOTS
    assert tag.startswith(b"{") or slot_of(key) == key_slot(tag)


@given(
    st.from_regex(rb"qwf:[a-z]{1,9}:\{[0-9a-f]{16}\.", fullmatch=True),
    st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 1200), max_size=50),
)
def test_slots_of_groups_are_those_of_their_keys(base: bytes, groups: list[int]) -> None:
    slots = slots_of_groups(base, np.array(groups, dtype=np.int64))
    assert slots.tolist() == [slot_of(base + b"%d}:j" % group) for group in groups]
    assert slots.dtype == np.int16


@pytest.mark.parametrize("base", [b"no tag", b"qwf:{psi}:", b""])
def test_slots_of_groups_need_a_base_within_a_hash_tag(base: bytes) -> None:
    with pytest.raises(ValueError, match="hash tag"):
        slots_of_groups(base, np.arange(3))
    with pytest.raises(ValueError, match="negative"):
        slots_of_groups(b"{a.", np.array([3, -1]))


def node(host: Any, port: int, *rest: Any) -> list[Any]:
    return [host, port, *rest]


def test_a_table_has_the_nodes_and_replicas_of_the_reply() -> None:
    first = node(b"10.0.0.1", 6379, b"aa", [b"hostname", b"one.example"])
    reply = [
        [5461, 16383, node(b"::1", 6380, b"bb", []), node(b"::1", 6381, b"cc", []), node(None, 6382, b"dd")],
        [0, 99, first],
        [200, 200, first],
    ]
    table = SlotTable.parse(reply, asked=ASKED)
    assert [(entry.id, entry.host, entry.port) for entry in table.nodes] == [
        ("bb", "::1", 6380),
        ("aa", "10.0.0.1", 6379),
    ]
    assert [[entry.place for entry in entries] for entries in table.replicas] == [
        ["[::1]:6381", "asked:6382"],
        [],
    ]
    assert table.uncovered == SLOTS - 101 - 10923
    assert table.owner(200) == table.owner(99) == table.nodes[1]
    assert table.owner(5461) == table.owner(16383) == table.nodes[0]
    assert table.owner(201) is None
    assert not table.owners.flags.writeable


@pytest.mark.parametrize(
    ("announced", "host"),
    [(b"h.example", "h.example"), (None, "asked"), (b"", "asked"), (b"?", "?"), (b"fe80::1", "fe80::1")],
)
def test_a_node_without_a_host_is_where_it_was_asked(announced: bytes | None, host: str) -> None:
    (entry,) = SlotTable.parse([[0, 16383, node(announced, 1, b"id")]], asked=ASKED).nodes
    assert entry == NodeAddress(id="id", host=host, port=1)


def test_a_node_of_an_old_server_is_known_by_its_place() -> None:
    (entry,) = SlotTable.parse([[0, 16383, node(b"::1", 1)]], asked=ASKED).nodes
    assert entry.id == "[::1]:1"


NODE = node(b"h", 1, b"id")
BAD_REPLIES: list[Any] = [
    None, 5, b"", b"OK", [5], [[]], [[0, 5]], [[0, 5, []]], [[0, 5, [b"h"]]], [[0, 5, [5, 5, b"id"]]],
    [[b"0", 5, NODE]], [[0, 16384, NODE]], [[-1, 4, NODE]], [[5, 4, NODE]], [[0, 5, NODE], [5, 6, NODE]],
    [[0, 5, [b"h", 70000, b"id"]]], [[0, 5, [b"h", b"1", b"id"]]], [[0, 5, [b"\xff", 1, b"id"]]],
    [[0, 5, NODE, b"x"]], [[0, 5, [[b"h"], 1, b"id"]]], [[0, 5, [b"h", 1, None]]],
]  # fmt: skip


@pytest.mark.parametrize("reply", BAD_REPLIES)
def test_what_is_no_table_is_a_value_error(reply: Any) -> None:
    with pytest.raises(ValueError):
        SlotTable.parse(reply, asked=ASKED)


def test_a_move_is_learned_without_asking_for_the_table() -> None:
    reply = [
        [0, 8191, node(b"h", 1, b"one"), node(b"h", 3, b"three")],
        [8192, 16383, node(b"h", 2, b"two"), node(b"?", 9, b"nine")],
    ]
    table = SlotTable.parse(reply, asked=ASKED)
    moved = table.moved(7, "h", 2)
    assert (moved.nodes, moved.owner(7), moved.owner(8)) == (table.nodes, table.nodes[1], table.nodes[0])
    assert table.owner(7) == table.nodes[0]
    promoted = moved.moved(8, "h", 3).owner(8)
    assert promoted == NodeAddress(id="three", host="h", port=3)
    grown = moved.moved(9, "new", 1).moved(10, "new", 1)
    assert grown.owner(9) == grown.owner(10) == NodeAddress(id="new:1", host="new", port=1)
    assert len(grown.nodes) == len(grown.replicas) == 3
    lost = table.moved(9, "?", 1)
    assert (lost.owner(9), lost.uncovered, lost.nodes) == (None, 1, table.nodes)
    for slot, port in ((SLOTS, 1), (-1, 1), (0, 65_536)):
        with pytest.raises(ValueError):
            table.moved(slot, "h", port)


def resp(value: Any) -> bytes:
    """The reply as bytes of RESP2."""
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(resp, value))
    return b":%d\r\n" % value if isinstance(value, int) else b"$%d\r\n%s\r\n" % (len(value), value)


def test_a_reply_with_a_range_for_each_slot_passes_the_guard() -> None:
    nodes = [
        node(
            b"2001:db8::%x" % n,
            65535,
            b"%040x" % n,
            [b"hostname", b"node-%d.cluster.example.org" % n, b"ip", b"10.0.0.1"],
        )
        for n in range(3000)
    ]
    reply = [[slot, slot, *nodes[slot % 1000 :: 1000]] for slot in range(SLOTS)]
    guard = Guard()
    guard.expect(SLOT_TABLE_BYTES)
    guard.check(resp(reply))
    guard.expect(LISTING_BYTES)
    with pytest.raises(ReplyRefused):
        guard.check(resp(reply))
    table = SlotTable.parse(reply, asked=ASKED)
    assert (table.uncovered, len(table.nodes), len(table.replicas[999])) == (0, 1000, 2)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 1000, SLOTS])
def test_equal_ranges_cover_all_slots(count: int) -> None:
    table = SlotTable.even(count)
    sizes = np.bincount(table.owners, minlength=count)
    assert table.uncovered == 0
    assert len(table.nodes) == len({node.id for node in table.nodes}) == count
    assert sizes.max() - sizes.min() <= 1
    assert (np.diff(table.owners) >= 0).all()


@pytest.mark.parametrize("count", [0, SLOTS + 1])
def test_slots_cannot_be_shared_by_nobody_or_by_too_many(count: int) -> None:
    with pytest.raises(ValueError):
        SlotTable.even(count)


def test_a_table_that_does_not_fit_together_is_refused() -> None:
    nodes = SlotTable.even(1).nodes
    owners = np.zeros(SLOTS, dtype=np.int16)
    wide: Any = owners.astype(np.int32)
    for bad, replicas in ((owners[1:], ((),)), (wide, ((),)), (owners + np.int16(1), ((),)), (owners, ())):
        with pytest.raises(ValueError):
            SlotTable(nodes=nodes, owners=bad, replicas=replicas)
    nobody = np.full(SLOTS, NOBODY, dtype=np.int16)
    assert SlotTable(nodes=(), owners=nobody, replicas=()).uncovered == SLOTS
    assert SlotTable.parse([], asked=ASKED).uncovered == SLOTS
