"""What the facts of several servers are together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..events import ServerFacts

_SUMMED: Final = (
    "used", "limit", "clients", "rejected", "commands_per_second", "input_rate", "output_rate",
)  # fmt: skip
"""Facts of which the sum over several nodes says something."""


def totals(every: Sequence[ServerFacts]) -> dict[str, float | None]:
    """The sum over all servers of each fact of which a sum says something; None if one does not tell."""
    return {
        name: None if None in (values := [getattr(facts, name) for facts in every]) else sum(values)
        for name in _SUMMED
    }
