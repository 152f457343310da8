"""A source that gives other values each time: what is stored is never what was read before."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RANDOM = np.random.default_rng()


def psi(t: NDArray[Any], x: NDArray[Any], y: NDArray[Any], z: NDArray[Any]) -> NDArray[Any]:
    shape = np.broadcast_shapes(t.shape, x.shape, y.shape, z.shape)
    return RANDOM.normal(size=shape) + 0j
