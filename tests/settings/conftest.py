"""A user without settings, and a function that writes settings files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.settings_files import NAMES, Write


@pytest.fixture(autouse=True)
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with no settings at all, whoever runs the tests."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(home))
    for name in ("QWF_CONFIG", "REDIS_URL", *(f"QWF_{field.upper()}" for field in NAMES)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, content: str | dict[str, Any]) -> Path:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write
