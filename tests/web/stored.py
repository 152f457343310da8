"""What the tests of the page have stored: random values, and what a plot of them would look like."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import qwf_async as qwf
from qwf_async.lattice.grid import Grid
from qwf_async.plotting.colours import density_colours, phase_colours, signed_table
from tests.support.loads import wave
from tests.support.viewed import HasAddress

GRID: Final = Grid.of((24, 20, 16), box=(12.0, 10.0, 8.0), frames=3, dt=0.5)
PSI: Final = wave(3, 24, 20, 16)
"""A slice that is mirrored, turned or of another place has nothing in common with the right one."""

GREY: Final = 235
"""Red, green and blue of a point that has no phase."""


async def store_psi(
    server: HasAddress,
    name: str = "psi",
    *,
    psi: NDArray[Any] = PSI,
    grid: Grid | None = GRID,
    **options: Any,
) -> None:
    """Store ψ[t, x, y, z] under a name."""
    async with qwf.connect(server.url) as store:
        await qwf.ingest(qwf.sources.array(psi, grid=grid), store, name, **{"layout": "tile"} | options)


def as_plotted(plane: NDArray[Any], show: str) -> NDArray[np.float64]:
    """The colours of ψ[across, up] as `plot` has them, [rows from the top, columns, red green blue]."""
    density = np.abs(plane) ** 2
    if show == "density":
        colours = density_colours(density, float(density.max()))
    elif show == "phase":
        colours = np.where((density > 1e-4 * density.max())[..., None], phase_colours(plane), GREY)
    else:
        share = ((plane.real if show == "real" else plane.imag) / np.abs(plane).max() + 1) / 2
        colours = signed_table()[np.minimum(share * 256, 255).astype(int)]
    return colours.swapaxes(0, 1)[::-1].astype(float)


def difference(drawn: NDArray[np.uint8], wanted: NDArray[np.float64]) -> float:
    """The mean difference of a canvas with a pixel a point to these colours, as a share of the largest there is."""
    assert drawn.shape[:2] == wanted.shape[:2]
    return float(np.abs(drawn[..., :3] - wanted).mean() / 255)
