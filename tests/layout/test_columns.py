"""A layout is added by one file and its name in LAYOUTS: a fourth one, from its bytes to the command line."""

from __future__ import annotations

import pytest

from qwf_async.layout import LAYOUTS, Layout
from tests.layout.columns import Columns
from tests.layout.contract import LayoutContract
from tests.layout.life import LifeContract

COLUMNS: type[Layout] = Columns


class TestColumns(LayoutContract, LifeContract):
    name = "columns"

    @pytest.fixture(autouse=True)
    def _added(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(LAYOUTS, "columns", COLUMNS)
