"""The Fourier transforms of the blocks of an evolution, in place: by SciPy, or by FFTW where that is installed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...lattice.grid import Shape4

Complex = NDArray[np.complex128]


class Transforms(Protocol):
    """Transforms of slabs of ψ[x, y, z], complex128, in place. Several threads may call them at once."""

    @property
    def facts(self) -> str:
        """What the rounding of the values depends on: library, version, plan."""
        ...

    def forward(self, block: Complex, factor: Complex) -> None:
        """Transform a slab [some x, y, z] along y and z, and multiply it by `factor`."""
        ...

    def back(self, block: Complex) -> None:
        """Transform such a slab back: with a factor of 1 both together change nothing."""
        ...

    def along(self, block: Complex, factor: Complex) -> None:
        """Transform a slab [x, some y, z] along x, multiply it by `factor`, and transform it back."""
        ...


def inner_axes(shape: Shape4) -> tuple[int, ...]:
    """Which of the axes y (1) and z (2) of ψ[x, y, z] have more than one point."""
    return tuple(axis for axis in (1, 2) if shape[1 + axis] > 1)


@dataclass(slots=True, kw_only=True)
class ScipyTransforms:
    """By SciPy: the same values to the last bit with the same release."""

    shape: Shape4
    _inner: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._inner = inner_axes(self.shape)

    @property
    def facts(self) -> str:
        from importlib.metadata import version  # 25 ms that no other source needs

        return f"scipy={version('scipy')}"

    def forward(self, block: Complex, factor: Complex) -> None:
        from scipy import fft  # heavy, and optional

        if self._inner:
            _keep(block, fft.fftn(block, axes=self._inner, overwrite_x=True))
            block *= factor

    def back(self, block: Complex) -> None:
        from scipy import fft  # heavy, and optional

        if self._inner:
            _keep(block, fft.ifftn(block, axes=self._inner, overwrite_x=True))

    def along(self, block: Complex, factor: Complex) -> None:
        from scipy import fft  # heavy, and optional

        waves = fft.fft(block, axis=0, overwrite_x=True)
        waves *= factor
        _keep(block, fft.ifft(waves, axis=0, overwrite_x=True))


def _keep(block: Complex, result: NDArray[Any]) -> None:
    """Put the result of a transform into `block`: SciPy may compute it in place, but does not promise to."""
    if not np.may_share_memory(block, result):
        block[...] = result
