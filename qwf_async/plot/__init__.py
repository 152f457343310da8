"""Pictures of stored wavefunctions: what they show is planned, read and drawn apart.

picture = await read_picture(psi, frames=range(1), fixed={3: 48})  # the plane z = index 48
figure = draw(picture)                                             # a matplotlib Figure
write_film(Path("psi.gif"), await read_picture(psi, frames=range(200)))
"""

from __future__ import annotations

from .curves import Expectations, Marginals
from .figure import draw, draw_expectations, draw_marginals
from .film import write_film
from .picture import Picture
from .reading import read_expectations, read_marginals, read_picture
from .view import View, plan_view

__all__ = [
    "Expectations",
    "Marginals",
    "Picture",
    "View",
    "draw",
    "draw_expectations",
    "draw_marginals",
    "plan_view",
    "read_expectations",
    "read_marginals",
    "read_picture",
    "write_film",
]
