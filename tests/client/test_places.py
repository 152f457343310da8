"""How many connections a process has open to all nodes together."""

from __future__ import annotations

import pytest

from qwf_async.client.address import Address
from qwf_async.client.places import MOST_PLACES, USUAL_SIZE, Places
from qwf_async.client.pool import Pool


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("size", "nodes", "places"),
    [(None, 1, USUAL_SIZE), (None, 3, USUAL_SIZE), (None, 192, 394), (None, 5000, MOST_PLACES), (7, 192, 7)],
)
async def test_places_grow_with_the_nodes_unless_their_number_was_given(
    size: int | None, nodes: int, places: int
) -> None:
    shared = Places(size)
    shared.grow_for(nodes)
    shared.grow_for(1)
    assert shared.free.value == places


@pytest.mark.anyio
async def test_a_pool_of_many_shards_has_places_for_all_of_them() -> None:
    address = Address.of_shards([Address.parse(f"unix:///nowhere/{number}") for number in range(100)])
    assert Pool(address)._places.free.value == 210
    assert Pool(address, size=3)._places.free.value == 3
