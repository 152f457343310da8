"""Which library transforms: FFTW for a run that is long enough to measure plans for, SciPy otherwise."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

import platformdirs

from ...errors import InvalidInput, UsageError
from ...host.cores import cores
from ...lattice.grid import Grid
from .fftw import FftwTransforms, PlansNotKept
from .propagator import block_size
from .transforms import ScipyTransforms, Transforms

LIBRARIES: Final = ("auto", "scipy", "fftw")

MIN_WORK: Final = 2**28
"""Points times steps from which plans are measured: ten seconds or more of work, of which they take one or two."""


def check_library(fft: str) -> None:
    """Raises InvalidInput for a library that is not known, UsageError if FFTW is asked for and not installed."""
    if fft not in LIBRARIES:
        raise InvalidInput(f"fft={fft} is unknown: it is one of {', '.join(LIBRARIES)}")
    if fft == "fftw" and find_spec("pyfftw") is None:
        raise UsageError("fft=fftw needs pyfftw, which is not installed: pip install 'qwf_async[fast]'")


def chosen_transforms(grid: Grid, fft: str, steps: int) -> Transforms:
    """The transforms for a run of so many steps. Measuring plans may take seconds, once a shape.

    Raises InvalidInput if FFTW is asked for, and does not load, or its plans cannot be kept.
    """
    long = grid.frame_points * steps >= MIN_WORK and find_spec("pyfftw") is not None
    if fft == "fftw" or (fft == "auto" and long):
        try:
            return FftwTransforms(
                shape=grid.shape,
                across_x=block_size(grid, 1),
                across_y=block_size(grid, 2),
                threads=cores(),
                folder=platformdirs.user_data_path("qwf_async") / "fftw",
            )
        except (PlansNotKept, ImportError) as error:
            if fft == "fftw":
                raise InvalidInput(f"fft=fftw cannot be used: {error}; give fft=scipy") from error
    return ScipyTransforms(shape=grid.shape)
