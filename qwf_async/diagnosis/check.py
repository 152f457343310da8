"""One line of a diagnosis: what was looked at, whether it is fit, and the cure if it is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from ..errors import (
    InvalidInput,
    OutOfMemory,
    QwfError,
    Refused,
    ReplayOwed,
    ServerUnavailable,
    UsageError,
)

Verdict = Literal["fit", "not fit", "unknown"]


class Unfit(QwfError):
    """Something is not fit, and no other error stands for it."""


SERIOUS_FIRST: Final = (
    ServerUnavailable,
    Refused,
    OutOfMemory,
    ReplayOwed,
    InvalidInput,
    UsageError,
    Unfit,
)
"""What a finding stands for, the most serious first: no server is worse than one that may not be written to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was found about a subject. `cure` is a command or a setting; `code` the exit code if it is not fit."""

    subject: str
    verdict: Verdict
    text: str
    cure: str = ""
    code: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def fit(subject: str, text: str, cure: str = "") -> Check:
    return Check(subject=subject, verdict="fit", text=text, cure=cure)


def unfit(subject: str, text: str, cure: str = "", *, code: int = 1) -> Check:
    return Check(subject=subject, verdict="not fit", text=text, cure=cure, code=code)


def unknown(subject: str, text: str, cure: str = "") -> Check:
    return Check(subject=subject, verdict="unknown", text=text, cure=cure)


def error_of(checks: Iterable[Check]) -> QwfError | None:
    """The error that a diagnosis ends in: None if nothing is unfit, else that of the most serious finding."""
    found = [check for check in checks if check.verdict == "not fit"]
    codes = {check.code for check in found}
    kind = next((kind for kind in SERIOUS_FIRST if kind.exit_code in codes), Unfit)
    return kind(f"not fit: {', '.join(dict.fromkeys(check.subject for check in found))}") if found else None
