"""A server that came back older than what was published, or than the record of a load."""

from __future__ import annotations

import numpy as np
import pytest

import qwf_async
from qwf_async import DataLost, sources
from tests.conftest import Server, open_pool
from tests.support.handmade import KEYS, begin, manifest
from tests.support.loads import wave

pytestmark = pytest.mark.anyio

PSI = wave(4, 20, 20, 20)


async def test_what_is_published_and_not_whole_any_more_is_ingested_anew_with_overwrite(
    each_server: Server,
) -> None:
    async with qwf_async.connect(each_server.url) as store:
        first = await qwf_async.ingest(sources.array(PSI), store, "psi")
        with each_server.plain as client:
            (*_, last) = sorted(key for key in client.scan_iter() if key.endswith(b":j"))
            client.delete(last, last.removesuffix(b"j") + b"s")
        with pytest.raises(DataLost, match="overwrite"):
            await qwf_async.ingest(sources.array(PSI), store, "psi", resume=True)
        again = await qwf_async.ingest(sources.array(PSI), store, "psi", resume=True, overwrite=True)
        assert not again.already
        assert again.generation != first.generation
        assert np.array_equal(await (await store.open("psi")).read[...], PSI)
        assert (await qwf_async.ingest(sources.array(PSI), store, "psi", resume=True, overwrite=True)).already


async def test_a_record_that_is_older_than_the_owner_was_not_taken_over(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        first = await begin(pool, manifest())
        await first.release()
        first.end()
        load = await begin(pool, first.manifest, unfinished="resume")
        with each_server.plain as client:
            client.hset(KEYS.load, "owner_token", first._owner.token)
        with pytest.raises(DataLost, match="older record of the load of psi"):
            await load.renew()
        load.end()
