"""A stored wavefunction as scripts and notebooks use it: like an array that stays on the server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import anyio
import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ..catalog.manifest import Manifest
from ..exporting.export_file import export
from ..lattice.grid import Grid, Shape4
from ..lattice.selection import Selection
from ..layout import Place
from ..plotting import plot
from ..plotting.thumbnail import thumbnail
from ..source.elements import unmasked
from ..store import wavefunction as asynchronous
from .face import blocking
from .measuring import Measured
from .viewing import HEIGHT, PageView

PICTURE_TIME: Final = 1.0
"""Seconds within which the picture beside the facts is read, if it is shown at all."""


class Wavefunction(Measured):
    """One published generation of a wavefunction ψ[t, x, y, z], read and changed on the server.

    `psi[0, 10:20, :, 64]` reads a part, by NumPy's basic indexing, and `numpy.asarray(psi)` all of it.
    `psi[0, 1, 2, 3] = 1j` and `psi[0, 10:20] = values` change it. It never turns into another
    one: if it was replaced or removed, reading raises Refused. Made by `store[name]`.
    """

    @property
    def name(self) -> str:
        return self._behind.name

    @property
    def manifest(self) -> Manifest:
        """What is stored with it: its grid, layout, codec, source, norm."""
        return self._behind.manifest

    @property
    def grid(self) -> Grid:
        return self.manifest.grid

    @property
    def shape(self) -> Shape4:
        """Points along t, x, y, z."""
        return self.grid.shape

    @property
    def ndim(self) -> int:
        """4: an axis that the grid does not have has one point."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of points."""
        return self.grid.points

    @property
    def dtype(self) -> np.dtype[Any]:
        """complex64 for codec c8, else complex128."""
        return self._behind.dtype

    def __len__(self) -> int:
        """The number of frames."""
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        """The selected values: an array, or a NumPy scalar for one point.

        Raises InvalidInput, which is an IndexError too, for an index that is not basic or outside the grid;
        else as `point`.
        """
        selection = Selection.of(self.shape, index)
        if not selection.kept:
            return self.dtype.type(self._loop.run(self._behind.point, *_point(selection)))
        return self._loop.run(self._behind.read_selection, selection)

    def __setitem__(self, index: Any, values: ArrayLike) -> None:
        """Change a point or a region, without steps; `values` are stretched to its shape as NumPy does.

        Each point changes atomically, but a region does not: see `update_region`.
        """
        selection = Selection.of(self.shape, index)
        self._loop.run(self._behind.update_region, index, _stretched(values, selection.shape))

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """The frames, ψ[x, y, z], one in memory at a time."""
        return (frame for _, frame in self.frames())

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """All values. Raises ValueError if no copy may be made: they are on a server."""
        if copy is False:
            raise ValueError(f"the values of {self.name} are on a server: reading them makes a copy")
        values: NDArray[Any] = self[...]
        return values if dtype is None else values.astype(dtype, copy=False)

    def frames(self) -> Iterator[tuple[float, NDArray[Any]]]:
        """The frames in the order of time, as (time, ψ[x, y, z]); one is in memory at a time.

        The time is in the unit of the time axis, or the number of the frame if the time step is not known.
        """
        for number, time in enumerate(self._behind.times):
            yield time, self[number]

    def where(self, x: int, y: int = 0, z: int = 0, t: int = 0) -> Place:
        """The key and the field under which any client of the server finds ψ at one grid point, by HGET."""
        return self._behind.where(x, y, z, t)

    point = blocking(asynchronous.Wavefunction.point)
    read_points = blocking(asynchronous.Wavefunction.read_points)
    update = blocking(asynchronous.Wavefunction.update)
    update_region = blocking(asynchronous.Wavefunction.update_region)
    info = blocking(asynchronous.Wavefunction.info)
    export = blocking(export)
    plot = blocking(plot)

    def view(self, *, height: int = HEIGHT) -> PageView:
        """The page of `qwf view` at this wavefunction, in a notebook; as `Store.view`."""
        return self._store.view(self.name, height=height)

    def __repr__(self) -> str:
        return repr(self._behind)

    def _repr_html_(self) -> str:
        """The facts as an HTML table, for a notebook, beside a small picture of |ψ|² of the first frame.

        There is no picture if it cannot be read within PICTURE_TIME.
        """
        table = self._behind._repr_html_()
        try:
            picture = self._loop.run(self._picture)
        except Exception:  # noqa: BLE001 # reading will say what is wrong: showing a wavefunction never fails
            return table
        return f'<div style="display:flex;gap:1em;align-items:flex-start">{table}{picture}</div>'

    async def _picture(self) -> str:
        with anyio.fail_after(PICTURE_TIME):
            return await thumbnail(self._behind)


def _point(selection: Selection) -> tuple[int, int, int, int]:
    """The indices x, y, z, t of a selection of one point."""
    t, x, y, z = (indices.start for indices in selection.axes)
    return x, y, z, t


def _stretched(values: ArrayLike, shape: Sequence[int]) -> ArrayLike:
    """The values in the shape to which NumPy stretches them in an assignment; others as they are."""
    try:
        given = unmasked(values)
        while given.ndim > len(shape) and given.shape[0] == 1:
            given = given[0]
        return np.broadcast_to(given, shape)
    except ValueError:  # the update says what is wrong with them
        return values
