"""Points of boxes, for tests of what makes bytes of them and values of bytes: made one at a time."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from qwf_async.lattice.grid import Box, Shape4
from qwf_async.wire.codec import stored

edges = st.sampled_from([0, 1, 8, 9, 10, 97, 99, 100, 998, 9_999])


@st.composite
def boxes(draw: st.DrawFn, most: Shape4 = (2, 3, 5, 40)) -> Box:
    """Boxes in which some indices change their number of digits."""
    t, x, y, z = ((start := draw(edges), start + draw(st.integers(1, n))) for n in most)
    return Box(start=(t[0], x[0], y[0], z[0]), stop=(t[1], x[1], y[1], z[1]))


def values_of(box: Box, codec: str, seed: int, *, special: bool = True) -> NDArray[Any]:
    """Values in the dtype of the codec; with `special`, of every kind that it may meet."""
    rng = np.random.default_rng(seed)
    parts = rng.standard_normal((*box.shape, 2))
    if special:
        parts *= 10.0 ** rng.integers(-12, 8, (*box.shape, 2))
        rare = np.flatnonzero(rng.random(parts.size) < 0.02)
        odd = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-300, -1e-12, 0.5e-10]
        parts.reshape(-1)[rare] = rng.choice(odd, len(rare))
    values: NDArray[np.complex128] = parts.view(np.complex128)[..., 0]
    return stored(codec, values)


def plain_value(codec: str, value: complex) -> bytes:
    if codec == "text10":
        return f"{value.real:.10f},{value.imag:.10f}".encode()
    return struct.pack("<dd" if codec == "c16" else "<ff", value.real, value.imag)


def plain_points(box: Box, values: NDArray[Any], codec: str) -> dict[bytes, bytes]:
    """Field → value of each point, in C order of the box."""
    t0, x0, y0, z0 = box.start
    return {
        b"x%d_y%d_z%d_t%d" % (x0 + x, y0 + y, z0 + z, t0 + t): plain_value(codec, complex(values[t, x, y, z]))
        for t, x, y, z in np.ndindex(box.shape)
    }
