"""The link of studies on a cluster: it follows keys to the nodes that have them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from qwf_async.client.slots import slot_of
from qwf_async.errors import UsageError
from qwf_async.settings import Settings
from qwf_async.study.link import Server as Link
from tests.conftest import PATIENCE, free_port, new_server
from tests.support.clusters import Cluster
from tests.support.slot_moves import begin_move, move_keys

COUNT = "return redis.call('INCRBY', KEYS[1], ARGV[1])"
KEY = b"{7}n"
SLOT = slot_of(KEY)


def soon() -> float:
    return time.monotonic() + PATIENCE


@pytest.fixture
def link(each_cluster: Cluster) -> Iterator[Link]:
    link = Link.open(each_cluster.url, after=PATIENCE)
    yield link
    link.close()


def test_keys_go_to_their_nodes_over_one_connection_each(each_cluster: Cluster, link: Link) -> None:
    for number in range(20):
        link.call(f"k{number}", "SET", f"k{number}", number)
    assert [link.call(f"k{n}", "GET", f"k{n}") for n in range(20)] == [b"%d" % n for n in range(20)]
    assert link.counts.opened <= len(each_cluster.nodes)
    assert len(link.on_each("PING")) == len(each_cluster.nodes)


def test_a_slot_that_moves_is_followed_all_the_way(each_cluster: Cluster, link: Link) -> None:
    assert link.eval(COUNT, [KEY], [1]) == 1
    source = each_cluster.node_of(KEY)
    target = next(node for node in each_cluster.primaries if node is not source)
    begin_move(SLOT, source, target)
    move_keys(SLOT, source, target)
    assert link.eval(COUNT, [KEY], [1]) == 2  # ASK
    assert link.pipeline([("GET", KEY), ("STRLEN", KEY)]) == [b"2", 1]
    each_cluster.end_move(SLOT, target)
    assert link.eval(COUNT, [KEY], [1]) == 3  # MOVED
    before = link.counts.borrowed
    assert link.eval(COUNT, [KEY], [1]) == 4
    assert link.counts.borrowed == before + 1  # it is known by now
    each_cluster.move_slots([SLOT], target, source)


def test_what_a_cluster_has_not_is_refused(each_cluster: Cluster) -> None:
    with pytest.raises(UsageError, match="in a cluster only 0"):
        Link.open(f"{each_cluster.url}/2").call("a", "PING")


def test_a_server_alone_is_no_cluster() -> None:
    with free_port() as port:
        for _ in new_server("valkey", port=str(port), bind="127.0.0.1"):
            with pytest.raises(UsageError, match="no node of a cluster"):
                Link.open(f"redis+cluster://127.0.0.1:{port}").call("a", "PING")


def test_the_node_map_says_where_nodes_are_reached(each_cluster: Cluster) -> None:
    seed, *others = each_cluster.nodes
    link = Link.open(seed.url, settings=Settings(node_map={"127.0.0.1": "localhost"}))
    found = {where for where, _ in link.on_each("PING", deadline=soon())}
    link.close()
    assert found == {seed.url, *(f"redis://localhost:{node.port}" for node in others)}
