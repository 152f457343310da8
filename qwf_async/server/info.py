"""The replies to INFO and CONFIG GET as mappings of texts, and the numbers in them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MAX_DIGITS: Final = 20
"""Digits of the largest number that a server counts to: 2**64."""


def parse_info(reply: bytes) -> dict[str, str]:
    """The reply to INFO as a mapping, without section heads and blank lines."""
    lines = reply.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def whole_number(text: str) -> int | None:
    """The number that a text gives; None if it is no number, or has more than MAX_DIGITS digits."""
    return int(text) if text.isdecimal() and len(text) <= MAX_DIGITS else None


def settings_of(reply: Sequence[bytes]) -> dict[str, str]:
    """The reply to CONFIG GET as a mapping."""
    texts = [text.decode(errors="replace") for text in reply]
    return dict(zip(texts[::2], texts[1::2], strict=True))
