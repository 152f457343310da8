"""Servers that take no value as large as a tile: refused before anything is written, whatever the server tells."""

from __future__ import annotations

import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.errors import Refused
from tests.conftest import Server
from tests.support.loads import ask

pytestmark = pytest.mark.anyio
PSI = np.ones((1, 64, 64, 32), complex)  # 2 MiB
MiB = 1 << 20
LIMITS = ["proto-max-bulk-len", "client-query-buffer-limit"]


@pytest.mark.parametrize("setting", LIMITS)
@pytest.mark.parametrize("tells", [True, False])
async def test_a_tile_above_the_limit_is_refused_and_nothing_is_left(
    each_own_server: Server, setting: str, tells: bool
) -> None:
    ask(each_own_server, "CONFIG", "SET", setting, str(MiB))
    if not tells:
        ask(each_own_server, "ACL", "SETUSER", "default", "-config")
    settings = qwf_async.Settings(url=each_own_server.url, deadline=30)
    async with qwf_async.connect(settings=settings) as store:
        with pytest.raises(Refused, match=rf"{setting}.*2,097,152 bytes: use smaller tiles"):
            await qwf_async.ingest(sources.array(PSI), store, "psi", layout="tile", tile=(64, 64, 32))
        assert each_own_server.contents() == {}
        report = await qwf_async.ingest(sources.array(PSI), store, "psi", layout="tile", verify=True)
        assert report.verified


@pytest.mark.parametrize("tells", [True, False])
async def test_a_large_tile_is_stored_where_the_limits_allow_it(each_own_server: Server, tells: bool) -> None:
    if not tells:
        ask(each_own_server, "ACL", "SETUSER", "default", "-config")
    async with qwf_async.connect(each_own_server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout="tile", tile=(64, 64, 32))
        assert (await (await store.open("psi")).read[...] == PSI).all()
