"""Generations drawn so that the nodes of a cluster get equally many chunks."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from qwf_async.client.evenness import MOST_DRAWS, even_generation, unevenness
from qwf_async.client.slots import SLOTS, SlotTable, slot_of


class Draws:
    """Generations from a seed, and which were drawn."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.drawn: list[str] = []

    def __call__(self) -> str:
        self.drawn.append(f"{self._random.getrandbits(64):016x}")
        return self.drawn[-1]


@pytest.mark.parametrize(("nodes", "groups"), [(3, 32), (3, 96), (10, 320), (100, 3200), (6, 192)])
def test_the_fullest_node_is_close_to_the_mean(nodes: int, groups: int) -> None:
    table, numbers = SlotTable.even(nodes), np.arange(groups)
    for seed in range(10):
        draws = Draws(seed)
        best = even_generation(draws, table, numbers)
        owners = [table.owners[slot_of(f"qwf:psi:{{{best}.{number}}}:j")] for number in range(groups)]
        fullest = max(owners.count(index) for index in range(nodes))
        assert fullest * nodes / groups == pytest.approx(unevenness(best, table, numbers))
        assert unevenness(best, table, numbers) == min(unevenness(one, table, numbers) for one in draws.drawn)
        assert fullest * nodes / groups <= (1.15 if nodes <= 10 else 1.4)
        assert len(draws.drawn) <= MOST_DRAWS


def test_one_node_or_no_group_needs_one_draw() -> None:
    for table, groups in ((SlotTable.even(1), 5), (SlotTable.even(3), 0)):
        draws = Draws(1)
        assert even_generation(draws, table, np.arange(groups)) == draws.drawn[0]
        assert len(draws.drawn) == 1


def test_slots_without_an_owner_and_nodes_without_slots_do_not_count() -> None:
    table = SlotTable.even(4)
    owners = table.owners.copy()
    owners[owners == 0] = 1
    owners[owners == 3] = -1
    halved = SlotTable(nodes=table.nodes, owners=owners, replicas=table.replicas)
    groups = np.arange(SLOTS)
    generation = f"{5:016x}"
    taken = halved.owners[[slot_of(f"{{{generation}.{group}}}") for group in groups]]
    ones, twos = int((taken == 1).sum()), int((taken == 2).sum())
    assert unevenness(generation, halved, groups) == pytest.approx(max(ones, twos) * 2 / (ones + twos))
