"""A part of a source, as a source: the first points of it, as many as are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from ..lattice.grid import Box, Grid, Order, Shape4
from ..lattice.plan import BoxPlan
from ..source.base import Source, is_parallel, understood_of, warnings_of


def part_shape(shape: Shape4, order: Order, points: int) -> Shape4:
    """The shape of a part of about so many points at most, in the order in which the source is read best."""
    return BoxPlan.cut(shape, order=order, points=points).chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The first points of `whole` along each axis, of this shape. Closing it leaves the whole open."""

    whole: Source
    shape: Shape4

    @property
    def spec(self) -> str:
        return self.whole.spec

    @property
    def grid(self) -> Grid:
        return replace(self.whole.grid, shape=self.shape)

    @property
    def order(self) -> Order:
        return self.whole.order

    @property
    def parallel(self) -> bool:
        return is_parallel(self.whole)

    def read(self, box: Box) -> NDArray[Any]:
        return self.whole.read(box)

    def fingerprint(self) -> str:
        return f"{self.whole.fingerprint()};part={self.shape}"

    def warnings(self) -> Sequence[str]:
        return warnings_of(self.whole)

    def understood(self) -> Mapping[str, str]:
        return understood_of(self.whole)

    def close(self) -> None:
        """Nothing: the whole is another's."""
