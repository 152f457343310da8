"""Observables of the frames as they are computed, and the densities along the axes of one frame."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import anyio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ..errors import InvalidInput, QwfError
from ..lattice.unit_system import system_of
from ..observables.geometry import in_steps
from ..observables.observed_columns import COLUMNS, unit_of
from ..plotting.from_store import read_marginals
from ..source.evolve.potentials import POTENTIALS, Potential, read_potential
from ..store.observing import observe_opened
from ..store.store import Store
from ..store.unpublished import Unpublished
from ..store.wavefunction import Wavefunction
from ..wording import quoted
from .guarded import JSON, finite
from .values import opened

HELD_POINTS: Final = 1 << 21
"""Points of a frame that is held for its momentum: 32 MB. Of larger ones there are only sums over points."""

NDJSON: Final = "application/x-ndjson"


class OneAtATime:
    """Frames are observed one after the other, whoever asks, so that one is in memory: each client in its turn."""

    def __init__(self) -> None:
        self._turn = anyio.CapacityLimiter(1)

    async def observed(self, store: Store, request: Request) -> Response:
        """The rows of `qwf observe --json`, in its units, a line a frame. An error midway is the last line.

        `potential`, a built-in one, and `g` are as for that command.
        """
        psi = await _published(store, request)
        potential = _potential(request.query_params.get("potential"))
        g = _number("g", request.query_params.get("g"))
        if request.method == "HEAD":
            return Response(media_type=NDJSON)
        return StreamingResponse(self._lines(psi, potential, g), media_type=NDJSON)

    async def marginals(self, store: Store, request: Request) -> Response:
        """The probability density along each axis of the frame `t`, with labels in the units of the axes."""
        psi = await _published(store, request)
        text = request.query_params.get("t", "0")
        if not text.removeprefix("-").isdecimal():
            raise InvalidInput(f"t={quoted(text)} is no frame: an integer")
        async with self._turn:
            found = await read_marginals(psi, int(text))
        curves = [
            {
                "axis": axis,
                "x_label": curve.x_label,
                "y_label": curve.y_label,
                "x": curve.x.tolist(),
                "y": curve.y.tolist(),
            }
            for axis, curve in zip("xyz", found.curves, strict=False)
        ]
        return JSON({"title": found.title, "curves": curves})

    async def _lines(
        self, psi: Wavefunction, potential: Potential | None, g: float | None
    ) -> AsyncIterator[str]:
        sums_only = psi.manifest.grid.frame_points > HELD_POINTS
        rows = observe_opened(psi, potential=potential, g=g, sums_only=sums_only)
        try:
            async with aclosing(rows):
                while True:
                    async with self._turn:  # not while the client takes the row: it may be slow
                        row = await anext(rows, None)
                    if row is None:
                        return
                    yield json.dumps(finite(row.to_json())) + "\n"
        except QwfError as error:
            yield json.dumps({"error": {"code": error.exit_code, "message": str(error)}}) + "\n"


async def columns(store: Store, request: Request) -> Response:
    """What the numbers of `observed` are, by name: the head for people, their unit as the axes have it, and its size.

    A number divided by the size is in that unit. `potential` and `g` are those of the evolution that
    was stored, for ⟨H⟩, or null.
    """
    psi = await _published(store, request)
    grid = psi.manifest.grid
    system, unknown = system_of(grid), in_steps(grid)
    described = {}
    for name, column in COLUMNS.items():
        size, unit = unit_of(column, system, unknown)
        described[name] = {"head": column.head, "unit": unit, "size": size}
    return JSON({"columns": described} | hamiltonian_of(psi.manifest.source))


def hamiltonian_of(source: str) -> dict[str, Any]:
    """The built-in potential, and g, of the text of an evolution; None where it has none. Pure."""
    kind, _, rest = source.partition(":")
    words = [word.partition("=")[::2] for word in rest.split(",")]
    keys = [key for key, _ in words]
    if kind != "evolve" or keys[0] != "potential" or "initial" not in keys or words[0][1] not in POTENTIALS:
        return {"potential": None, "g": None}
    its = ",".join("=".join(word) for word in words[1 : keys.index("initial")])
    potential = f"{words[0][1]}:{its}" if its else words[0][1]
    return {"potential": potential, "g": _number("g", dict(words).get("g"))}


async def _published(store: Store, request: Request) -> Wavefunction:
    """What is published under the name. Raises InvalidInput for a load, and as `opened`."""
    psi = await opened(store, request.path_params["name"], request.query_params)
    if isinstance(psi, Unpublished):
        raise InvalidInput(
            f"{psi.name} is being loaded: what needs all of its points is computed once it is published"
        )
    return psi


def _potential(text: str | None) -> Potential | None:
    """A built-in potential: a request names no module that would be imported. Raises InvalidInput for others."""
    if text is None:
        return None
    if text.partition(":")[0] not in POTENTIALS:
        raise InvalidInput(f"potential={quoted(text)} is none of {', '.join(POTENTIALS)}")
    return read_potential(text)


def _number(name: str, text: str | None) -> float | None:
    try:
        number = None if text is None else float(text)
    except ValueError as error:
        raise InvalidInput(f"{name}={quoted(text or '')} is no number") from error
    if number is not None and number - number != 0:
        raise InvalidInput(f"{name}={quoted(text or '')} is no finite number")
    return number
