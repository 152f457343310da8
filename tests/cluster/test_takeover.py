"""A load in a cluster that is taken over from an owner who is gone, while a node is away."""

from __future__ import annotations

import pytest
import redis

import qwf_async
from qwf_async.settings import Settings
from tests.cluster.conftest import OwnCluster
from tests.support.handmade import KEYS, begin, journal_key, manifest

pytestmark = pytest.mark.anyio


async def test_a_node_that_is_away_holds_nobody_up_and_is_fenced_before_it_is_written(
    own_cluster: OwnCluster,
) -> None:
    cluster = own_cluster("valkey", 3, 0, **{"cluster-node-timeout": "60000"})
    control = cluster.node_of(KEYS.load)
    settings = Settings(url=control.url, socket_timeout=0.5)
    async with qwf_async.connect(settings=settings) as store:
        needed = (control, cluster.node_of(KEYS.names))
        drawn = (manifest() for _ in iter(int, 1))
        wanted = next(one for one in drawn if cluster.node_of(journal_key(one.generation)) not in needed)
        away = cluster.node_of(journal_key(wanted.generation))
        load = await begin(store.pool, wanted)
        await load.release()
        with away.plain as client, control.plain as record:
            held = redis.client.Redis(connection_pool=client.connection_pool, single_connection_client=True)
            run = client.info("server")["run_id"]
            field = f"writer:{held.client_id()}.{run[:8]}"
            record.hset(KEYS.load, field, run)
            cluster.stop(away)
            resumed = await begin(store.pool, load.manifest, unfinished="resume")
            assert record.hexists(KEYS.load, field)
            cluster.go_on(away)
            assert held.ping()
            async with resumed.connection(0):
                with pytest.raises(redis.ConnectionError):
                    held.ping()
            held.close()
            assert resumed.run == record.info("server")["run_id"] != run
