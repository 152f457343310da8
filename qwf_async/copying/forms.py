"""In which form a wavefunction is copied: exactly its own, but for what is to be changed."""

from __future__ import annotations

import math
from dataclasses import replace

from ..ingesting.choosing import forms_of
from ..lattice.grid import Shape3
from ..lattice.plan import BoxPlan
from ..layout import LAYOUTS, Form, Slab
from ..layout.flat import CHUNK_POINTS
from ..layout.form import MAX_SLAB_POINTS


def copied_forms(
    form: Form,
    *,
    layout: str | None = None,
    codec: str | None = None,
    tile: Shape3 | None = None,
    slab: Slab | None = None,
) -> list[Form]:
    """The form of a copy, or for layout "auto" those of which the first that fits is taken.

    What is None stays as it is, and if no layout, tile or slab is given, the chunks stay the same too. Raises
    UsageError if the parts do not go together.
    """
    return forms_of(
        layout or form.layout, lambda name: _copied_form(form, name, codec or form.codec, tile, slab)
    )


def _copied_form(form: Form, layout: str, codec: str, tile: Shape3 | None, slab: Slab | None) -> Form:
    if layout == form.layout and tile is None and slab is None:
        return replace(form, codec=codec)
    order = form.plan.order if isinstance(form.plan, BoxPlan) else "C"
    if (
        layout in LAYOUTS
        and LAYOUTS[layout].slabs
        and slab is None
        and tile is None
        and form.tile is not None
    ):
        # Slabs of whole tiles: else each tile would be kept, or read again, for as many slabs as it is thick.
        plan = BoxPlan.cut(form.shape, order=order, points=CHUNK_POINTS, unit=form.scheme.grain)
        slab = plan.chunk if math.prod(plan.chunk) <= MAX_SLAB_POINTS else None
    return Form.of(layout=layout, codec=codec, shape=form.shape, order=order, tile=tile, slab=slab)
