"""Draws the name of a generation so that its chunks spread evenly over the nodes of a cluster.

Which slots the chunks take is as good as random: of 32 chunks on three nodes the fullest node has
1.13 times the mean in half of the draws, and 1.6 times at worst. The best of 30 draws has 1.03.
Nothing is promised for later: slots may move.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from .slots import GroupDigits, SlotTable, digits_of, slots_of_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_DRAWS: Final = 64
"""Generations that are drawn at most."""

EVEN_ENOUGH: Final = 1.02
"""Chunks of the fullest node against the mean: no further draw is made below this."""

_MOST_GROUPS: Final = 4_000_000
"""Groups that are looked at in all draws together; 5 ns each."""


def even_generation(draw: Callable[[], str], table: SlotTable, groups: NDArray[np.int64]) -> str:
    """That of up to MOST_DRAWS generations whose groups are the most even over the nodes of the table.

    `draw` gives a new generation at each call. Groups in slots without an owner do not count.
    """
    best = draw()
    if len(table.nodes) < 2 or not groups.size:
        return best
    digits = digits_of(groups)
    least = unevenness(best, table, digits)
    # As even as whole chunks can be.
    enough = max(EVEN_ENOUGH, -(-groups.size // len(table.nodes)) * len(table.nodes) / groups.size)
    for _ in range(min(MOST_DRAWS, _MOST_GROUPS // groups.size) - 1):
        if least <= enough:
            break
        generation = draw()
        if (uneven := unevenness(generation, table, digits)) < least:
            best, least = generation, uneven
    return best


def unevenness(generation: str, table: SlotTable, groups: NDArray[np.int64] | GroupDigits) -> float:
    """Groups of the fullest node against the mean of all nodes that have slots; 1 is even."""
    owners = table.owners[slots_of_groups(f"{{{generation}.".encode(), groups)]
    counts = np.bincount(owners + 1, minlength=len(table.nodes) + 1)[1:]
    with_slots = np.unique(table.owners[table.owners >= 0]).size
    total = int(counts.sum())
    return int(counts.max()) * with_slots / total if total else 1.0
