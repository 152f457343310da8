"""Pictures of stored wavefunctions: each is planned, read and drawn in a step of its own.

picture = await read_picture(psi, frames=range(1), fixed={3: 48})  # the plane z = index 48
figure = draw(picture)                                             # a matplotlib Figure
write_animation(Path("psi.gif"), await read_picture(psi, frames=range(200)))
"""

from __future__ import annotations

from .animation import write_animation
from .curves import Expectations, Marginals
from .figure import draw, draw_expectations, draw_marginals
from .from_store import read_expectations, read_marginals, read_picture
from .picture import Picture
from .view_plan import View, plan_view

PlotData = Picture | Marginals | Expectations
"""The numbers of a plot, as they are read for it."""

__all__ = [
    "Expectations",
    "Marginals",
    "Picture",
    "PlotData",
    "View",
    "draw",
    "draw_expectations",
    "draw_marginals",
    "plan_view",
    "read_expectations",
    "read_marginals",
    "read_picture",
    "write_animation",
]
