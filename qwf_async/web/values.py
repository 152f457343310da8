"""The values of a part of ψ as bytes: any line, plane or box, with as many points along an axis as are asked for."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from anyio import to_thread
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from ..errors import InvalidInput, Refused
from ..lattice.grid import AXIS_NAMES, Shape4, index_on_axis
from ..lattice.selection import Selection
from ..store.store import Store
from ..wording import quoted
from .guarded import TooMany

MAX_POINTS: Final = 4_194_304
"""Points of an answer: 32 MB."""


async def read_values(store: Store, request: Request) -> Response:
    """The values that a request selects, little-endian complex64 in C order; values beyond it are not finite."""
    psi = await store.open(request.path_params["name"])
    generation = request.query_params.get("generation", psi.manifest.generation)
    if generation != psi.manifest.generation:
        raise Refused(f"{psi.name} was replaced: generation {psi.manifest.generation} is published now")
    selection = selection_of(psi.manifest.grid.shape, request.query_params)
    values = await psi.read_selection(selection)
    with np.errstate(over="ignore"):
        body = await to_thread.run_sync(
            lambda: np.ascontiguousarray(values, "<c8").reshape(-1).view(np.uint8)
        )
    headers = headers_of(selection) | {"X-QWF-Generation": generation}
    return Response(body.data, media_type="application/octet-stream", headers=headers)


def headers_of(selection: Selection) -> dict[str, str]:
    """Axes, shape, first index and step of the values."""
    kept = [(AXIS_NAMES[axis], selection.axes[axis]) for axis in selection.kept]
    return {
        "X-QWF-Axes": ",".join(name for name, _ in kept),
        "X-QWF-Shape": ",".join(str(len(indices)) for _, indices in kept),
        "X-QWF-Start": ",".join(str(indices.start) for _, indices in kept),
        "X-QWF-Step": ",".join(str(indices.step) for _, indices in kept),
    }


def selection_of(shape: Shape4, query: QueryParams) -> Selection:
    """What `t`, `x`, `y`, `z` and `max` of a request select. Pure.

    Raises InvalidInput for what is no index or outside the grid, and TooMany for more than MAX_POINTS.
    """
    most = _whole("max", query["max"]) if "max" in query else None
    if most is not None and most < 1:
        raise InvalidInput(f"max is the number of points along an axis, at least 1, not {most}")
    axes: list[range] = []
    kept: list[int] = []
    for axis, (name, size) in enumerate(zip(AXIS_NAMES, shape, strict=True)):
        text = query.get(name, ":")
        if ":" not in text:
            index = index_on_axis(name, _whole(name, text), size)
            axes.append(range(index, index + 1))
            continue
        parts = [_whole(name, part) if part else None for part in text.split(":")]
        if len(parts) > 3 or (len(parts) == 3 and (parts[2] is None or parts[2] < 1)):
            raise InvalidInput(f"{name}={quoted(text)} is no index: an integer, or start:stop:step")
        indices = range(size)[slice(*parts)]
        if most is not None and len(indices) > most:
            indices = indices[:: -(-len(indices) // most)]
        axes.append(indices)
        kept.append(axis)
    selection = Selection(axes=(axes[0], axes[1], axes[2], axes[3]), kept=tuple(kept))
    if selection.points > MAX_POINTS:
        raise TooMany(
            f"{selection.points:,} points are more than one answer has, {MAX_POINTS:,}: ask for parts, or a max"
        )
    return selection


def _whole(name: str, text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise InvalidInput(f"{name}={quoted(text)} is no index: an integer, or start:stop:step")
    return int(text)
