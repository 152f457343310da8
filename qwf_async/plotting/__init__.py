"""Pictures of stored wavefunctions: each is planned, read and drawn in a step of its own.

figure = await plot(psi, "density", slice="z=48")                    # a matplotlib Figure, of any kind of KINDS
picture = await read_picture(psi, frames=range(200), fixed={3: 48})  # the plane z = index 48 at 200 frames
write_animation(Path("psi.gif"), picture)
"""

from __future__ import annotations

from .animation import write_animation
from .figure import draw
from .from_store import read_expectations, read_picture
from .kinds import KINDS
from .picture import Picture
from .plots import PlotData, draw_plot, plot, read_plot, show_plot, unknown_axes
from .view_plan import View, plan_view

__all__ = [
    "KINDS",
    "Picture",
    "PlotData",
    "View",
    "draw",
    "draw_plot",
    "plan_view",
    "plot",
    "read_expectations",
    "read_picture",
    "read_plot",
    "show_plot",
    "unknown_axes",
    "write_animation",
]
