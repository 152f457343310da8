"""The first words of a SOURCE written as text, and the message for one that is not known."""

from __future__ import annotations

import difflib
from typing import Final

from .analytic import STATES
from .formats.table import usual_endings

EVOLVE: Final = "evolve"
"""The word of a time evolution. Which parameters it takes depends on its parts."""

EIGEN: Final = "eigen"
"""The word of the lowest eigenstates of a potential."""

OLD_HASH: Final = "redis-hash"
"""The word of a hash that the old project left on a server."""


def unknown_source(text: str) -> str:
    """The message for a SOURCE that is no file, no known word and no function, with the nearest known word."""
    near = difflib.get_close_matches(text.partition(":")[0], [*STATES, EVOLVE, EIGEN, OLD_HASH], n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    usual, *others = usual_endings()
    return (
        f"unknown source {text!r}{hint}: a source is a {usual} file (or {', '.join(others)}), "
        f"module:function, {OLD_HASH}:KEY, {EVOLVE}, {EIGEN}, or one of {', '.join(STATES)}"
    )
