"""The versions of Python and of the packages that this one needs, and the extras that are not installed."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final

from .check import Check, fit, unfit, unknown

DEVELOPMENT: Final = ("test", "bench")
"""Extras that only those need who work on this package."""

_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*([^;]*?)\s*(?:;\s*(.*))?")
_EXTRA: Final = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A package that is needed: bounds of its version like `>=2.0,<9`, and the extra that needs it, or ""."""

    name: str
    bounds: str
    extra: str

    def problem(self, installed: str | None) -> str | None:
        """What is wrong with the version that is installed, in words; None if nothing is."""
        if installed is None:
            return f"{self.name} is not installed"
        return None if within(installed, self.bounds) else f"{self.name} {installed} is not {self.bounds}"


def requirements(lines: Iterable[str]) -> Iterator[Requirement]:
    """The requirements in the metadata of a package, but those of other systems."""
    for line in lines:
        match = _REQUIREMENT.fullmatch(line.strip())
        if match is None:
            continue
        marker = match[3] or ""
        if "win32" in marker and sys.platform == "win32":
            continue
        extra = _EXTRA.search(marker)
        yield Requirement(name=match[1], bounds=match[2].strip(), extra=extra[1] if extra else "")


def within(installed: str, bounds: str) -> bool:
    """Whether a version is within bounds like `>=2.0,<9`; bounds of another kind are not judged."""
    for bound in filter(None, (part.strip() for part in bounds.split(","))):
        if bound.startswith(">=") and _numbers(installed) < _numbers(bound[2:]):
            return False
        if bound.startswith("<") and bound[1:2] != "=" and _numbers(installed) >= _numbers(bound[1:]):
            return False
    return True


def _numbers(text: str) -> tuple[int, ...]:
    """The release of a version as numbers, without zeros at its end."""
    match = re.match(r"\s*(\d+(?:\.\d+)*)", text)
    numbers = [int(part) for part in match[1].split(".")] if match else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def package_checks() -> list[Check]:
    """Python, the packages that are needed, and the extras. Reads the metadata of what is installed: blocking."""
    python = fit(
        "python", f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})"
    )
    try:
        needed = list(requirements(requires("qwf_async") or ()))
    except PackageNotFoundError:
        return [
            python,
            unknown("packages", "qwf_async is not installed as a package", "pip install qwf_async"),
        ]
    found = {each.name: _version(each.name) for each in needed}
    always = [each for each in needed if not each.extra]
    problems = list(filter(None, (each.problem(found[each.name]) for each in always)))
    if problems:
        packages = unfit("packages", "; ".join(problems), "pip install -U qwf_async")
    else:
        packages = fit("packages", ", ".join(f"{each.name} {found[each.name]}" for each in always))
    extras: dict[str, bool] = {}
    for each in needed:
        if each.extra and each.extra not in DEVELOPMENT:
            extras[each.extra] = extras.get(each.extra, True) and each.problem(found[each.name]) is None
    there = ", ".join(name for name, whole in extras.items() if whole) or "none"
    missing = [name for name, whole in extras.items() if not whole]
    text = f"installed: {there}" + (f"; not installed: {', '.join(missing)}" if missing else "")
    return [
        python,
        packages,
        fit("extras", text, f"pip install 'qwf_async[{','.join(missing)}]'" if missing else ""),
    ]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
