"""The seed of a random test: it is printed, and QWF_TEST_SEED repeats it."""

from __future__ import annotations

import os
import secrets


def new_seed() -> int:
    """A seed of 32 bits. pytest shows what is printed when the test fails."""
    seed = int(os.environ.get("QWF_TEST_SEED") or secrets.randbits(32))
    print(f"QWF_TEST_SEED={seed}")  # noqa: T201
    return seed
