"""Whether there is an Optuna here that studies can use."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from ..errors import UsageError
from ..optional import library

LOWEST: Final = (4, 5)
"""The lowest version of Optuna with all that studies need: the names of its storages, and what it does at a resume."""


def check_optuna() -> None:
    """Raises UsageError, saying what to install, if Optuna is missing or older than LOWEST."""
    library("optuna", extra="study", what="a study")
    found = version("optuna")
    parts = tuple(int(part) if part.isdecimal() else 0 for part in found.split(".")[:2])
    if parts < LOWEST:
        raise UsageError(
            f"studies need optuna {'.'.join(map(str, LOWEST))} or later, and {found} is installed: "
            "pip install 'qwf_async[study]'"
        )
