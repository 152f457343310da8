"""Wavefunctions in files of nothing but numbers, whose shape and type are told: `psi.raw:shape=64x64x64,dtype=c16`."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Final

import numpy as np

from ...errors import InvalidInput
from .contiguous import contiguous, opened
from .field import Field, field_of
from .opening import opening

DTYPES: Final = ("c16", "c8", "f8", "f4", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1")
"""Types of numbers: c complex, f real, i and u integers, and bytes; `>` before them is big-endian, else little."""


def raw(
    path: str | os.PathLike[str],
    shape: Sequence[int],
    dtype: str = "c16",
    *,
    order: str = "C",
    offset: int = 0,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> Field:
    """ψ in a file that holds only its numbers, from byte `offset` on, in C or Fortran order.

    `dtype`: one of DTYPES, with `>` before it if it is big-endian. `dims`, `box` and `dt` as
    for `hdf5`; without `dims` as for `npy`. Raises InvalidInput if there is no such file, if
    it is shorter than shape and type say or longer, or for another type or order.
    """
    name = os.fspath(path)
    sizes = tuple(shape)
    if order not in ("C", "F"):
        raise InvalidInput(f"{name}: order={order} is neither C nor F")
    if dtype.removeprefix(">").removeprefix("<") not in DTYPES:
        raise InvalidInput(
            f"{name}: dtype={dtype} is none of {', '.join(DTYPES)}, with > before it if big-endian"
        )
    if not sizes or min(sizes) < 1 or offset < 0:
        raise InvalidInput(f"{name}: sizes must be at least 1, and the offset at least 0")
    kind = np.dtype(dtype if dtype[0] in "<>" else f"<{dtype}")
    told = f"shape={'x'.join(map(str, sizes))},dtype={dtype},order={order},offset={offset}"
    with opening(name, format="raw") as found:
        file = found.keep.enter_context(opened(name))
        expected, length = offset + math.prod(sizes) * kind.itemsize, os.fstat(file.fileno()).st_size
        if length != expected:
            raise InvalidInput(
                f"{name} has {length} bytes, where {'×'.join(map(str, sizes))} numbers of {dtype} from byte {offset} "
                f"on make {expected}"
            )
        part = contiguous(
            name,
            what=name,
            shape=sizes,
            dtype=kind,
            offset=offset,
            file=file,
            fortran=order == "F",
            member=told,
        )
        return field_of(
            [part],
            spec=f"{name}:{told}",
            format="raw",
            files=found.files,
            release=found.keep.close,
            dims=dims,
            box=box,
            dt=dt,
        )


def raw_text(
    path: str,
    parameters: str,
    *,
    dims: str | None = None,
    box: Sequence[float] | None = None,
    dt: float | None = None,
) -> Field:
    """`raw` from "shape=64x64x64,dtype=c16,order=C,offset=0". Raises InvalidInput if it cannot be read."""
    given: dict[str, str] = {}
    for word in filter(None, parameters.split(",")):
        key, _, value = word.partition("=")
        if key not in ("shape", "dtype", "order", "offset") or key in given:
            raise InvalidInput(f"{path}: {word!r}: a raw file has shape, dtype, order and offset, each once")
        given[key] = value
    if "shape" not in given:
        raise InvalidInput(f"{path} is raw: give its shape, as in {path}:shape=64x64x64,dtype=c16")
    try:
        shape = [int(word) for word in given["shape"].split("x")]
        offset = int(given.get("offset", "0"))
    except ValueError as error:
        raise InvalidInput(
            f"{path}:{parameters} cannot be read: shape=64x64x64,offset=0 are whole numbers"
        ) from error
    return raw(
        path,
        shape,
        given.get("dtype", "c16"),
        order=given.get("order", "C"),
        offset=offset,
        dims=dims,
        box=box,
        dt=dt,
    )
