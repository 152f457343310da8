"""The layouts keep what every layout promises."""

from __future__ import annotations

from qwf_async.layout import LAYOUTS
from tests.layout.contract import LayoutContract
from tests.layout.life import LifeContract


class TestFlat(LayoutContract, LifeContract):
    name = "flat"


class TestPacked(LayoutContract, LifeContract):
    name = "packed"


class TestTile(LayoutContract, LifeContract):
    name = "tile"


def test_every_layout_is_held_to_the_contract() -> None:
    assert {contract.name for contract in LayoutContract.__subclasses__()} >= set(LAYOUTS)
