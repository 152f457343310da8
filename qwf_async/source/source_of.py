"""`source_of`: a source of whatever a user has in hand. No library is imported that the user has not imported."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ..checked import checked
from ..errors import InvalidInput, UsageError
from ..lattice.grid import Grid
from ..wording import option, shortened
from .array import arrays
from .base import Source
from .formats.files import files
from .formats.member_choice import choose_members
from .lazy import is_lazy
from .register import frames_of_kets, kets_in
from .text import open_source

ACCEPTED: Final = (
    "a path or the text of a SOURCE, an array (of NumPy, dask, xarray, zarr, h5py or netCDF4), an xarray Dataset with "
    "one wavefunction, a ket or a solver's result of QuTiP, a Statevector of Qiskit, or a source (qwf_async.sources)"
)
"""What `source_of` accepts, in words."""


@checked
def source_of(
    x: Any,
    grid: Grid | None = None,
    *,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> Source:
    """The source that something is: a source as it is, and of other things that hold ψ a new one.

    - A path or the text of a SOURCE, as on the command line; a list of paths, each a frame.
    - An array, or a list of numbers: as `array`. An array of dask is computed a block at a time, and its
      fingerprint is its name. The coordinates of xarray become the axes, their `units` are converted.
    - A Dataset of xarray: its only variable, its only complex one, or its pair of re and im.
    - A ket `Qobj` or a `Statevector`, a list of kets, or the result of a solver of QuTiP, whose kets
      are the frames and whose times are the t axis. Their amplitudes are ψ·√dV on `grid`. Without one
      they are stored as they are: along x, y and z for up to three subsystems, else along x; the spacing is unknown.

    `grid`, `dims`, `box` (bohr) and `dt` (ħ/Eh) are as for `array` and `files`; the grid of a state in
    a text is `grid` too. Whoever passes no source closes the one that is returned.

    Raises InvalidInput for anything else, for what is no ket, and as `array`, `files` and `open_source`; UsageError
    for a description of what has its own.
    """
    given = {"grid": grid, "dims": dims, "box": box, "dt": dt}
    if isinstance(x, Source):
        if named := [option(name) for name, value in given.items() if value is not None]:
            raise UsageError(f"{', '.join(named)} cannot be given for a source: it has its own grid")
        return x
    if isinstance(x, str):
        return open_source(x, grid=grid, dims=dims, box=box, dt=dt)
    if _is_path(x) or (isinstance(x, list | tuple) and x and all(map(_is_path, x))):
        if grid is not None:
            raise UsageError(f"{option('grid')} cannot be given for a file: it has its own number of points")
        return files(x, dims=dims, box=box, dt=dt)
    if (kets := kets_in(x)) is not None:
        if dims is not None:
            raise UsageError(
                f"{option('dims')} cannot be given for kets: the order of their subsystems is known"
            )
        return frames_of_kets(kets, grid, box=box, dt=dt)
    if hasattr(x, "data_vars"):
        return arrays(_chosen(x), grid, dims=dims, box=box, dt=dt)
    if isinstance(x, np.ndarray | list | tuple | int | float | complex) or is_lazy(x) or hasattr(x, "keys"):
        return arrays([x], grid, dims=dims, box=box, dt=dt)
    raise InvalidInput(f"what is of type {type(x).__qualname__} is no wavefunction: it is {ACCEPTED}")


def _is_path(x: Any) -> bool:
    return isinstance(x, str | os.PathLike)


def _chosen(dataset: Any) -> list[Any]:
    """The variable of a Dataset that is ψ, or its two. Raises InvalidInput if it is not clear which."""
    names = [str(name) for name, values in dataset.data_vars.items() if values.ndim]
    try:
        chosen = choose_members(
            names,
            None,
            "the Dataset",
            lambda name: dataset[name].dtype.kind == "c" or bool(dataset[name].dtype.names),
        )
    except InvalidInput as error:
        raise InvalidInput(
            f"the Dataset has no variable that must be ψ, but {shortened(', '.join(names)) or 'none'}: "
            "choose one, as in dataset['psi']"
        ) from error
    return [dataset[name] for name in chosen]
