"""Small pictures in the terminal: two pixels a character in colour, or a ramp of characters without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ..lattice.grid import AXIS_NAMES
from ..wording import printable
from .colours import density_colours, phase_colours
from .curves import Arrows, Curves, Expectations, Field
from .figure import MAX_MARKS, MIN_ARROW, MIN_DIP
from .labels import axis_label, density_label
from .picture import Picture

if TYPE_CHECKING:
    from rich.console import Console

Pixels = NDArray[np.uint8]

MAX_WIDTH: Final = 96
"""Characters, and pixels, across: a picture twice as wide would show no more of a plane."""

MIN_WIDTH: Final = 20
"""Characters across: COLUMNS may say 0."""

MAX_HEIGHT: Final = 48
"""Pixels down: 24 lines."""

GAP: Final = 3
"""Characters between two panels."""

RAMP: Final = " .:-=+*#%@"
"""Characters from dark to light. Source: P. Bourke, "Character representation of grey scale images" (1997)."""

DARK: Final = (24, 24, 28)
LIGHT: Final = (235, 235, 235)
DIM: Final = (90, 90, 110)


def show_picture(console: Console, picture: Picture, quantities: Sequence[str]) -> None:
    """Print one frame of a picture, or a line over time: density, phase, or both side by side."""
    view, colour = picture.view, _has_colour(console)
    width = min(MAX_WIDTH, console.width)
    over_time = len(view.frames) > 1
    flat = len(view.axes) == 1 and not over_time
    panels = [quantities] if flat else [(quantity,) for quantity in quantities]
    across, up = (0, view.axes[0]) if over_time else (view.axes[0], view.axes[-1])
    each = (width - GAP * (len(panels) - 1)) // len(panels)
    size = (
        (each, MAX_HEIGHT // 2)
        if flat
        else _fitting(view.edges(across), view.edges(up), each, alike=across != 0)
    )
    pixels = [_pixels(picture, kinds, size, colour=colour) for kinds in panels]
    _print_line(console, picture.title(None if over_time else 0))
    _print(console, pixels, colour=colour)
    low, high = view.edges(across)
    _print_line(console, f"{axis_label(view.grid, across)}: {low:.4g} … {high:.4g} →")
    if not flat:
        low, high = view.edges(up)
        _print_line(console, f"{axis_label(view.grid, up)}: {low:.4g} … {high:.4g} ↑")
    legends = {
        "density": f"{density_label(view.grid)}: 0 … {picture.peak:.4g}",
        "phase": "phase: red 0, yellow-green π/2, cyan π, violet −π/2"
        if colour
        else "phase φ: light where cos φ is large",
    }
    _print_line(console, "   ".join(legends[quantity] for quantity in quantities))


def show_curves(console: Console, curves: Curves) -> None:
    """Print curves, one below the other, and their marks."""
    _print_line(console, curves.title)
    width = min(MAX_WIDTH, console.width)
    for curve in curves.curves:
        values = _extreme(curve.y, width)
        finite = values[np.isfinite(values)]
        low, high = float(finite.min(initial=0.0)), float(finite.max(initial=0.0))
        if -low < MIN_DIP * high:
            low = 0.0
        bars = _columns(np.minimum(values, 0), np.maximum(values, 0), low, high, LIGHT)
        _print(console, [bars], colour=_has_colour(console))
        _print_line(
            console,
            f"{curve.x_label}: {curve.x[0]:.4g} … {curve.x[-1]:.4g} →   {curve.y_label}: {low:.4g} … {high:.4g} ↑",
        )
        if curve.marks:
            _print_line(console, f"lines: {', '.join(text for _, text in sorted(curve.marks[:MAX_MARKS]))}")


def show_field(console: Console, field: Field) -> None:
    """Print a field on a plane; with arrows these are printed, beside it."""
    width, colour = min(MAX_WIDTH, console.width), _has_colour(console)
    panels = 2 if field.arrows is not None and width >= 2 * MIN_WIDTH else 1
    each = (width - GAP * (panels - 1)) // panels
    size = _fitting(field.across, field.up, each, alike=field.alike)
    rows, columns = field.values.shape
    values = field.values[np.ix_(_spread(rows, size[0]), _spread(columns, size[1]))]
    shades = density_colours(values, field.peak) if colour else _grey(values / (field.peak or 1.0))
    _print_line(console, field.title)
    beside = [] if field.arrows is None else arrow_lines(field.arrows, *size, plain=not _has_unicode(console))
    # [across, up, 3] → [rows from the top, columns, 3]
    _print(console, [shades.swapaxes(0, 1)[::-1]], colour=colour, beside=beside if panels == 2 else ())
    for line in beside if panels == 1 else ():
        _print_line(console, line)
    for label, (low, high), mark in (
        (field.across_label, field.across, "→"),
        (field.up_label, field.up, "↑"),
    ):
        _print_line(console, f"{label}: {low:.4g} … {high:.4g} {mark}")
    _print_line(console, f"{field.label}: 0 … {field.peak:.4g}")
    if field.arrows is not None:
        _print_line(console, f"arrows: {field.arrows.label}, where above 2 % of {field.arrows.longest:.4g}")


def arrow_lines(arrows: Arrows, width: int, height: int, *, plain: bool) -> list[str]:
    """Arrows as characters, `height`/2 lines of `width`; a blank where an arrow is short, ASCII if `plain`."""
    signs = np.array(list("-/|\\-/|\\" if plain else "→↗↑↖←↙↓↘"))
    if plain:
        signs[[0, 2, 4, 6]] = list(">^<v")
    where = np.ix_(_spread(len(arrows.across), width), _spread(len(arrows.up), height // 2))
    x, y = (component[where] for component in arrows.along)
    eighth = np.rint(np.nan_to_num(np.arctan2(y, x)) / (np.pi / 4)).astype(np.intp) % 8
    text = np.where(np.hypot(x, y) > MIN_ARROW * arrows.longest, signs[eighth], " ")  # [across, up]
    return ["".join(row) for row in text.T[::-1].tolist()]


def show_expectations(console: Console, expectations: Expectations) -> None:
    """Print ⟨x⟩ ± σ over time, a picture for each axis."""
    _print_line(console, expectations.name)
    width = min(MAX_WIDTH, console.width)
    for number, name in enumerate(AXIS_NAMES[1 : 1 + expectations.mean.shape[1]]):
        mean, sigma = (
            _sampled(expectations.mean[:, number], width),
            _sampled(expectations.sigma[:, number], width),
        )
        if not np.isfinite(mean).any():
            _print_line(console, f"⟨{name}⟩ is not defined: ψ is 0")
            continue
        low, high = float(np.nanmin(mean - sigma)), float(np.nanmax(mean + sigma))
        pixels = _columns(mean - sigma, mean + sigma, low, high, DIM)
        row = np.clip((high - mean) / ((high - low) or 1.0) * len(pixels), 0, len(pixels) - 1)
        pixels[np.nan_to_num(row).astype(np.intp), np.arange(width)] = LIGHT
        _print(console, [pixels], colour=_has_colour(console))
        _print_line(
            console,
            f"{expectations.time_label}: {expectations.times[0]:.4g} … {expectations.times[-1]:.4g} →   "
            f"⟨{name}⟩ ± σ: {low:.4g} … {high:.4g} {expectations.units[number]} ↑",
        )


def _print_line(console: Console, text: str) -> None:
    """Print a line of text; a stored name or unit in it cannot move the cursor."""
    console.print(printable(text), highlight=False, markup=False)


def _has_colour(console: Console) -> bool:
    return console.color_system is not None and not console.no_color and _has_unicode(console)


def _has_unicode(console: Console) -> bool:
    return console.encoding.startswith("utf")


def _fitting(
    across: tuple[float, float], up: tuple[float, float], width: int, *, alike: bool = True
) -> tuple[int, int]:
    """Width and height of a panel in pixels, true to scale if there is room and both axes are `alike`."""
    (left, right), (low, high) = across, up
    ratio = (high - low) / (right - left) if alike and right > left else MAX_HEIGHT / width
    if ratio * width > MAX_HEIGHT:
        return max(8, round(MAX_HEIGHT / ratio)) if ratio <= 4 else width, MAX_HEIGHT
    return width, max(8, round(ratio * width) // 2 * 2)


def _pixels(picture: Picture, kinds: Sequence[str], size: tuple[int, int], *, colour: bool) -> Pixels:
    """One panel, uint8 [height, width, 3], the top row first."""
    view, (width, height) = picture.view, size
    if len(view.axes) == 1 and len(view.frames) == 1:
        count = picture.psi.shape[1]
        at = _spread(count, width)
        psi, shown = picture.psi[0, at], picture.has_phase[0, at]
        if kinds == ("phase",):
            return np.broadcast_to(_phase(psi, shown, colour=colour), (2, width, 3))
        peaks = np.maximum.reduceat(picture.density[0], np.arange(width) * count // width)
        fill = _phase(psi, shown, colour=True) if "phase" in kinds and colour else LIGHT
        return _columns(np.zeros(width), peaks, 0.0, picture.peak, fill, height)
    values = slice(None) if len(view.frames) > 1 else 0
    rows, columns = picture.psi[values].shape
    where = np.ix_(_spread(rows, width), _spread(columns, height))
    if kinds == ("phase",):
        panel = _phase(picture.psi[values][where], picture.has_phase[values][where], colour=colour)
    elif colour:
        panel = density_colours(picture.density[values][where], picture.peak)
    else:
        panel = _grey(picture.density[values][where] / (picture.peak or 1.0))
    return panel.swapaxes(0, 1)[::-1]  # [across, up, 3] → [rows from the top, columns, 3]


def _phase(psi: NDArray[np.complex128], shown: NDArray[np.bool_], *, colour: bool) -> Pixels:
    """Colours or greys of the phase, uint8 [..., 3], dark where it is not shown."""
    shades = phase_colours(psi) if colour else _grey(0.55 + 0.45 * np.cos(np.angle(psi)))
    return np.where(shown[..., None], shades, np.array(DARK, np.uint8) if colour else np.uint8(0))


def _grey(share: NDArray[np.float64]) -> Pixels:
    levels = (np.clip(np.nan_to_num(share), 0, 1) * 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=-1)


def _columns(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    bottom: float,
    top: float,
    fill: Pixels | tuple[int, int, int],
    height: int = MAX_HEIGHT // 2,
) -> Pixels:
    """Columns filled from `low` to `high`, on a scale from `bottom` to `top`: uint8 [height, width, 3]."""
    level = bottom + (np.arange(height)[::-1, None] + 0.5) / height * ((top - bottom) or 1.0)
    inside = (level >= low) & (level <= high)
    return np.where(inside[..., None], np.asarray(fill, np.uint8), np.array(DARK, np.uint8))


def _spread(count: int, pixels: int) -> NDArray[np.intp]:
    """The index, of `count` values, that each pixel shows."""
    return ((np.arange(pixels) + 0.5) * count / pixels).astype(np.intp)


def _sampled(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    return values[_spread(len(values), width)]


def _extreme(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """The value farthest from 0 of those that each pixel stands for, [width]: no narrow line is missed."""
    if len(values) < width:
        return _sampled(values, width)
    starts = np.arange(width) * len(values) // width
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return np.where(-low > high, low, high)


def _print(console: Console, panels: Sequence[Pixels], *, colour: bool, beside: Sequence[str] = ()) -> None:
    """Print panels side by side, two rows of pixels a line, and lines of text `beside` them."""
    from rich.color import Color
    from rich.segment import Segment, Segments
    from rich.style import Style

    def half_blocks(top: list[list[int]], bottom: list[list[int]]) -> list[Segment]:
        return [
            Segment("▀", Style(color=Color.from_rgb(*a), bgcolor=Color.from_rgb(*b)))
            for a, b in zip(top, bottom, strict=True)
        ]

    def characters(top: list[list[int]], bottom: list[list[int]]) -> list[Segment]:
        light = np.array((top, bottom)).mean(axis=(0, 2)) / 256
        return [Segment("".join(RAMP[int(share * len(RAMP))] for share in light.tolist()))]

    gap, draw = Segment(" " * GAP), half_blocks if colour else characters
    for row in range(0, len(panels[0]), 2):
        line = [draw(*panel[row : row + 2].tolist()) for panel in panels]
        line += [[Segment(text)] for text in beside[row // 2 : row // 2 + 1]]
        joined = [segment for part in line for segment in (*part, gap)][:-1]
        console.print(Segments([*joined, Segment.line()]), end="")
