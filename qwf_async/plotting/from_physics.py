"""Momentum density, probability current and spectrum of a stored wavefunction, read and computed for a plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..lattice.grid import AXIS_NAMES, Grid, shape4
from ..lattice.unit_system import system_of
from ..observables import current, density
from ..observables.geometry import in_steps
from ..observables.momentum_density import momentum_axis, momentum_step
from ..store.frame_boxes import Done
from ..store.spectra import momentum_density_opened, spectrum_opened
from ..store.wavefunction import Wavefunction
from .curves import Arrows, Curve, Curves, Field, Real
from .from_store import chosen_cut
from .labels import axis_label, density_label, power, title_of, unit_along
from .view_plan import MAX_SIDE_POINTS, View, plan_view

SHOWN_SHARE: Final = 1e-3
"""Share of the largest value: where a density of momentum or energy, or |ψ|² below arrows, is less, it is not shown."""

MARGIN: Final = 0.1
"""Room to either side of what is shown, as a share of it."""

ARROWS: Final = 24
"""Arrows along an axis of a figure."""


async def read_momentum(psi: Wavefunction, frame: int, integrated: int | None) -> Curves | Field:
    """|ψ(k)|² at one frame: a curve in one dimension, else a field over two components, the other integrated over.

    `integrated` is that other one of three, 1, 2 or 3 for x, y, z; else the last. The frame is held in memory.
    """
    grid = psi.manifest.grid
    axes = [axis for axis in (1, 2, 3) if grid.shape[axis] > 1] or [1]
    if integrated is not None and (integrated not in axes or len(axes) == 1):
        raise InvalidInput(f"{psi.name} has no momentum along {AXIS_NAMES[integrated]} to integrate over")
    if integrated is not None or len(axes) == 3:
        axes.remove(integrated or 3)
    values = await momentum_density_opened(psi, frame, axes)
    shown, places, labels = [], [], []
    for number, axis in enumerate(axes):
        size, symbol = unit_along(grid, axis, "momentum")
        others = tuple(other for other in range(len(axes)) if other != number)
        part = _where_large(values.max(axis=others) if others else values)
        shown.append(part)
        places.append(momentum_axis(grid, axis)[part] / size)
        labels.append(f"k{AXIS_NAMES[axis]} ({symbol})")
        values = values * size
    values = values[tuple(shown)]
    names = ", ".join(f"k{AXIS_NAMES[axis]}" for axis in axes)
    title = title_of(psi.name, grid, frame)
    symbols = {unit_along(grid, axis, "per momentum")[1] for axis in axes}
    unit = f" ({power(symbols.pop(), len(axes))})" if len(symbols) == 1 else ""
    if len(axes) == 1:
        curve = Curve(x_label=labels[0], y_label=f"ρ({names}){unit}", x=places[0], y=values)
        return Curves(title=title, curves=(curve,), in_steps=in_steps(grid))
    halves = [momentum_step(grid, axis) / unit_along(grid, axis, "momentum")[0] / 2 for axis in axes]
    across, up = (
        (float(place[0]) - half, float(place[-1]) + half) for place, half in zip(places, halves, strict=True)
    )
    return Field(
        title=title,
        across_label=labels[0],
        up_label=labels[1],
        across=across,
        up=up,
        values=values,
        label=f"ρ({names}){unit}",
        alike=True,
        in_steps=in_steps(grid),
    )


async def read_current(psi: Wavefunction, frame: int, fixed: Mapping[int, int]) -> Curves | Field:
    """The probability current at one frame, on a plane with arrows over |ψ|², or on a line as a curve.

    `fixed` is as for `plan_view`. ∂ψ along the plane needs each of its points, so the whole plane is in memory.
    """
    grid = psi.manifest.grid
    cut = await chosen_cut(psi, frame, fixed)
    view = plan_view(grid, frames=range(frame, frame + 1), fixed=cut, max_points=max(grid.shape))
    values = await psi.read_selection(view.selection)
    lying = replace(
        grid, shape=shape4([1, *(n if axis in view.axes else 1 for axis, n in enumerate(grid.shape) if axis)])
    )
    psi_there = values.reshape(lying.shape)
    flow = current(psi_there, lying)[[axis - 1 for axis in view.axes]].reshape(-1, *values.shape[1:])
    system = system_of(grid)
    title = title_of(psi.name, grid, frame, view.cut, view.fixed)
    rate, symbol = system.unit("per time")
    size, length = system.unit("length")
    unit = (
        ""
        if in_steps(grid)
        else f" ({symbol}{f' {power(length, 1 - grid.dimensions)}' * (grid.dimensions > 1)})"
    )
    flow = flow if in_steps(grid) else flow / rate * size ** (grid.dimensions - 1)
    if len(view.axes) == 1:
        (axis,) = view.axes
        curve = Curve(
            x_label=axis_label(grid, axis),
            y_label=f"j{AXIS_NAMES[axis]}{unit}",
            x=view.coordinates(axis),
            y=flow[0],
        )
        return Curves(title=title, curves=(curve,), in_steps=in_steps(grid))
    return _with_arrows(view, grid, density(values)[0], flow, title=title, label=f"j{unit}")


def _with_arrows(view: View, grid: Grid, dense: Real, flow: Real, *, title: str, label: str) -> Field:
    axes = view.axes
    parts = (_where_large(dense.max(axis=1)), _where_large(dense.max(axis=0)))
    dense, flow = dense[parts], flow[:, parts[0], parts[1]]
    every = [max(1, -(-n // MAX_SIDE_POINTS)) for n in dense.shape]
    at = [((np.arange(count := min(n, ARROWS)) + 0.5) * n / count).astype(np.intp) for n in dense.shape]
    places = [view.coordinates(axis)[part] for axis, part in zip(axes, parts, strict=True)]
    across, up = (
        (float(place[0]) - half, float(place[-1]) + half)
        for place, axis in zip(places, axes, strict=True)
        for half in [(grid.axes[axis].step or 1.0) / 2]
    )
    x, y = (component[np.ix_(*at)] for component in flow)
    return Field(
        title=title,
        across_label=axis_label(grid, axes[0]),
        up_label=axis_label(grid, axes[1]),
        across=across,
        up=up,
        values=dense[:: every[0], :: every[1]],
        label=density_label(grid),
        alike=grid.axes[axes[0]].unit == grid.axes[axes[1]].unit,
        in_steps=in_steps(grid),
        arrows=Arrows(label=label, across=places[0][at[0]], up=places[1][at[1]], along=(x, y)),
    )


async def read_spectrum(psi: Wavefunction, *, done: Done = lambda points: None) -> Curves:
    """The spectrum from all frames, as a curve with its lines marked. Raises as `spectrum`."""
    found = await spectrum_opened(psi, done=done)
    unit, symbol = system_of(psi.manifest.grid).unit("energy")
    part = _where_large(found.density)
    strongest = sorted(found.lines, key=lambda line: -line.weight)
    curve = Curve(
        x_label=f"E ({symbol})",
        y_label=f"share of ψ (1/{symbol})",
        x=found.energies[part] / unit,
        y=found.density[part] * unit,
        marks=tuple((line.energy / unit, f"{line.energy / unit:.5g}") for line in strongest),
    )
    note = f"resolution {found.resolution / unit:.3g} {symbol}; energies within ±{found.limit / unit:.4g} {symbol}"
    return Curves(title=f"{psi.name}   spectrum", curves=(curve,), in_steps="", note=note)


def _where_large(values: NDArray[np.float64]) -> slice:
    """The part of a line where values are, with some room; all of it if there are none."""
    (large,) = np.nonzero(values > SHOWN_SHARE * values.max(initial=0.0))
    if not len(large):
        return slice(None)
    first, last = int(large[0]), int(large[-1])
    room = 2 + round(MARGIN * (last - first))
    return slice(max(0, first - room), last + room + 1)
