"""A load on a cluster, whose chunks lie on all nodes, read before it is published."""

from __future__ import annotations

import random

import pytest

from qwf_async import sources
from tests.store.test_read import SHAPE, as_stored, some_index
from tests.store.test_unpublished import check_reads, forget_some
from tests.support.clusters import Cluster
from tests.support.loads import leave_unfinished, wave

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]


@pytest.mark.parametrize(("layout", "codec"), [("flat", "text10"), ("packed", "c8"), ("tile", "c16")])
async def test_what_the_journals_of_all_nodes_have_is_read(cluster: Cluster, layout: str, codec: str) -> None:
    psi, rng = wave(*SHAPE), random.Random(layout)
    await leave_unfinished(cluster, sources.array(psi), psi.size, layout=layout, codec=codec)
    forget_some(cluster, rng, 0.4)
    await check_reads(cluster, as_stored(psi, codec), [..., *(some_index(rng) for _ in range(5))])
