"""A stored wavefunction in words, for a shell and a notebook. Nothing here asks a server."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..catalog.manifest import Manifest
from ..human import count, size
from ..lattice.grid import AXIS_NAMES
from ..wording import printable

Facts = Sequence[tuple[str, str]]


def describe(name: str, manifest: Manifest) -> Facts:
    """Name, axes, layout, codec, points, size and generation, in words.

    The size is the model's (`layout.hash_memory`), an upper bound.
    """
    form = manifest.form
    parameters = ["in one hash"] if form.one_hash else []
    if form.tile is not None:
        parameters.append("×".join(map(str, form.tile)))
    axes = []
    for axis, number, points in zip(AXIS_NAMES, manifest.grid.shape, manifest.grid.axes, strict=True):
        if number == 1 or points.step is None:
            axes.append((axis, f"{number}"))
        else:
            unit = f" {points.unit}" if points.unit else ""
            axes.append((axis, f"{number} from {points.origin:.6g}{unit}, step {points.step:.6g}{unit}"))
    facts = (
        ("name", name),
        *axes,
        *([] if manifest.grid.mass == 1 else [("mass", f"{manifest.grid.mass:g} electron masses")]),
        ("layout", " ".join((form.layout, *parameters))),
        ("codec", form.codec),
        ("points", count(manifest.points)),
        ("stored", f"at most {size(form.predicted_bytes(None))}"),
        ("source", manifest.source),
        ("generation", manifest.generation),
    )
    return tuple((fact, printable(value)) for fact, value in facts)


def as_table(facts: Facts) -> str:
    """The facts as an HTML table; their text is escaped."""
    rows = "".join(f"<tr><th>{escape(fact)}</th><td>{escape(value)}</td></tr>" for fact, value in facts)
    return f"<table>{rows}</table>"
