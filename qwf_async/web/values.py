"""The values of a part of ψ as bytes: any line, plane or box, with as many points along an axis as are asked for."""

from __future__ import annotations

import re
from typing import Any, Final

import anyio
import numpy as np
from numpy.typing import NDArray
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from ..errors import InvalidInput, Refused
from ..lattice.grid import AXIS_NAMES, Shape4, index_on_axis
from ..lattice.selection import Selection
from ..store.store import Store
from ..store.unpublished import Unpublished, open_load
from ..store.wavefunction import Wavefunction
from ..wording import quoted
from .guarded import TooMany

MAX_POINTS: Final = 4_194_304
"""Points of an answer: 32 MB."""

SMALL: Final = 640 * 640
"""Points of a picture, at most: what has no more does not wait for what has, as a volume."""

SMALL_AT_ONCE: Final = 2
LARGE_AT_ONCE: Final = 1
"""Answers that are read at the same time; each is read over several connections."""

POINT_BYTES: Final = 8
"""Bytes of a value in an answer."""


class Values:
    """Reads values for all clients, a few at a time, so that what is being read is bounded in memory."""

    def __init__(self) -> None:
        self._small = anyio.CapacityLimiter(SMALL_AT_ONCE)
        self._large = anyio.CapacityLimiter(LARGE_AT_ONCE)

    async def read(self, store: Store, request: Request) -> Response:
        """The values that a request selects, little-endian complex64 in C order; values beyond it are not finite.

        With `load=true` they are those of the load under way, and behind them follows a byte a point: 1 if it
        is stored.
        """
        psi = await opened(store, request.path_params["name"], request.query_params)
        selection = selection_of(psi.manifest.grid.shape, request.query_params)
        is_load = isinstance(psi, Unpublished)
        points = 0 if request.method == "HEAD" else selection.points
        async with self._small if points <= SMALL else self._large:
            # The answer's own memory, which is sent as it is: what is read is converted piece by piece.
            body = np.empty(points * (POINT_BYTES + is_load), np.uint8)
            values, stored = np.split(body, [points * POINT_BYTES])
            if points:
                with np.errstate(over="ignore"):
                    await _read(psi, selection, values.view("<c8"), stored.view(np.bool_))
        headers = headers_of(selection) | {"X-QWF-Generation": psi.manifest.generation}
        headers["Content-Length"] = str(selection.points * (POINT_BYTES + is_load))
        return Response(body.data, media_type="application/octet-stream", headers=headers)


async def _read(
    psi: Wavefunction | Unpublished, selection: Selection, values: NDArray[Any], stored: NDArray[np.bool_]
) -> None:
    values = values.reshape(selection.shape)
    if isinstance(psi, Unpublished):
        await psi.read_selection(selection, values, stored.reshape(selection.shape))
    else:
        await psi.read_selection(selection, values)


async def opened(store: Store, name: str, query: QueryParams) -> Wavefunction | Unpublished:
    """What is published under a name, or the load of it that is under way if the query asks for that.

    Raises UnknownName, and Refused if it is not the `generation` of the query.
    """
    load = query.get("load", "false")
    if load not in ("true", "false"):
        raise InvalidInput(f"load={quoted(load)} is neither true nor false")
    psi = await (open_load(store, name) if load == "true" else store.open(name))
    now = psi.manifest.generation
    if query.get("generation", now) != now:
        has = "is being loaded" if load == "true" else "is published"
        raise Refused(f"{psi.name} was replaced: generation {now} {has} now")
    return psi


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
