"""A pool to the shards of an address: each key is asked of the server that has its range of the slots."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from redis.crc import key_slot

from qwf_async.client.address import Address
from qwf_async.client.pool import Pool
from qwf_async.client.reply import is_text
from qwf_async.errors import ServerUnavailable
from tests.conftest import Server, new_server

KEYS = [f"qwf:psi:{{7.{group}}}:s" for group in range(60)]


@pytest.fixture(scope="module")
def shards() -> Iterator[list[Server]]:
    with ExitStack() as stack:
        yield [stack.enter_context(contextmanager(new_server)("valkey")) for _ in range(3)]


def address_of(shards: list[Server]) -> Address:
    return Address.of_shards([Address.parse(shard.url) for shard in shards])


@pytest.mark.anyio
async def test_a_key_is_asked_of_the_shard_of_its_slot(shards: list[Server]) -> None:
    pool = Pool(address_of(shards))
    try:
        await pool.probe()
        for key in KEYS:
            await pool.call("SET", key, key, expect=is_text)
        assert [await pool.call("GET", key) for key in KEYS] == [key.encode() for key in KEYS]
        for number, shard in enumerate(shards):
            with shard.plain as client:
                there = {key.decode() for key in client.scan_iter()}
            assert there == {key for key in KEYS if key_slot(key.encode()) * 3 // 16_384 == number}
            assert there
        assert [node.address for node in pool.nodes] == list(pool.address.shards)
        assert not pool.is_cluster
    finally:
        await pool.aclose()


@pytest.mark.anyio
async def test_a_probe_asks_every_shard(shards: list[Server]) -> None:
    nowhere = Address.parse("unix:///nowhere.sock")
    pool = Pool(Address.of_shards([Address.parse(shards[0].url), nowhere]))
    try:
        with pytest.raises(ServerUnavailable, match=r"nowhere\.sock"):
            await pool.probe()
    finally:
        await pool.aclose()


def test_an_address_of_shards_is_one_thing_that_can_be_sent(shards: list[Server]) -> None:
    address = address_of(shards)
    assert pickle.loads(pickle.dumps(address)) == address  # noqa: S301 # ours
    assert address.shown == f"{Address.parse(shards[0].url).shown} and 2 more"
    assert address.is_local
    only = Address.parse(shards[0].url)
    assert Address.of_shards([only]) == only
