"""One line of a diagnosis: what was looked at, whether it is fit, and the cure if it is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

Verdict = Literal["fit", "not fit", "unknown"]

SERIOUS_FIRST: Final = (3, 8, 4, 6, 7, 2, 1)
"""Exit codes of what is not fit, the most serious first: no server is worse than one that may not be written to."""


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


def status_of_all(checks: Iterable[Check]) -> int:
    """The exit code of a diagnosis: 0 if nothing is unfit, else the code of the most serious finding."""
    codes = {check.code for check in checks if check.verdict == "not fit"}
    return next((code for code in SERIOUS_FIRST if code in codes), max(codes, default=0))
