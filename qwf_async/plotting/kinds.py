"""The kinds of plots, in one table for the command line and for Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotKind:
    """What a kind of plot shows, `about`, and what may be said of it.

    `frames`: it shows one frame, all of them, or either. `cut`: a plane or a line at an index
    ("index"), only which axis is left out ("axis"), or nothing of that ("none").
    """

    about: str
    frames: Literal["one", "all", "either"]
    cut: Literal["index", "axis", "none"]


KINDS: Final[Mapping[str, PlotKind]] = {
    "density": PlotKind(about="|ψ|² on a plane or a line", frames="either", cut="index"),
    "phase": PlotKind(about="the phase of ψ there", frames="either", cut="index"),
    "current": PlotKind(about="the probability current there", frames="one", cut="index"),
    "marginals": PlotKind(about="the density along each axis", frames="one", cut="none"),
    "momentum": PlotKind(about="the density of the momentum", frames="one", cut="axis"),
    "expectations": PlotKind(about="⟨x⟩ ± σ over time", frames="all", cut="none"),
    "spectrum": PlotKind(about="the energies of the state", frames="all", cut="none"),
    "animation": PlotKind(about="density and phase over time", frames="all", cut="index"),
}
"""Kinds by name."""

PICTURE: Final = PlotKind(about="density and phase on a plane or a line", frames="either", cut="index")
"""What is shown without a kind."""
