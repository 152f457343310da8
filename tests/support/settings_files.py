"""Settings files for tests, and refusals of what is in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qwf_async.errors import UsageError
from qwf_async.settings import Settings, load

SECRET = "hunter2/%@:x"
NAMES = sorted(Settings.__dataclass_fields__)

Write = Callable[..., Path]


def refusal(*args: Any, **kwargs: Any) -> str:
    """The one line with which `load` refuses these arguments."""
    with pytest.raises(UsageError) as caught:
        load(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    return message
