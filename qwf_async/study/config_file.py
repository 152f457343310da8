"""Which server holds the studies: the settings, or a redis_config.json beside the scripts."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any, Final

from ..settings import Settings, load
from ..settings.redis_config import Warn

BESIDE: Final = Path("redis_config.json")
"""In the working directory: scripts that were written for redis-py have it there."""


def study_settings(file: Path | None = None, *, warn: Warn = warnings.warn, **flags: Any) -> Settings:
    """The settings as `settings.load` has them; arguments and errors are its.

    Where neither `file` nor `$QWF_CONFIG` names a file and BESIDE is there, it is the file.
    """
    return load(file or _beside(), warn=warn, **flags)


def _beside() -> Path | None:
    return BESIDE if not os.environ.get("QWF_CONFIG") and os.path.isfile(BESIDE) else None
