"""The points of a box as records, a name and a value each: what HSET takes, or what a ready-made hash holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from ..lattice.grid import Box
from . import text10
from .arena import Arena
from .batch import byte_view
from .codec import binary_dtype, digest
from .field_names import box_records
from .string_form import StringForm


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Records one after the other: record i ends at byte `ends[i]` of `data`."""

    data: memoryview
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, records: NDArray[np.uint8]) -> Run:
        """The records of an array of bytes: each is as long as the last axis."""
        size = records.shape[-1]
        return cls(data=byte_view(records), ends=np.arange(size, records.size + 1, size, dtype=np.int64))


def name_runs(box: Box, form: StringForm, arena: Arena) -> list[Run]:
    """The names of the points of a box, without values."""
    return [Run.of(block.data) for block in box_records(box, form.of, arena)]


def point_runs(
    box: Box, values: NDArray[Any], codec: str, form: StringForm, arena: Arena
) -> tuple[list[Run], int]:
    """Name and value of each point of a box, and the digest of the values.

    `values` [t, x, y, z] are in the dtype of the codec (`codec.stored`). There is a run for
    each block of points whose names have digits in the same places.
    """
    dtype = binary_dtype(codec)
    if dtype is None:
        return _text_runs(box, values, form, arena)
    return _binary_runs(box, values, dtype, form, arena), digest(codec, values)


def _binary_runs(
    box: Box, values: NDArray[Any], dtype: np.dtype[Any], form: StringForm, arena: Arena
) -> list[Run]:
    tail = form.of(bytes(dtype.itemsize))
    runs = []
    for block in box_records(box, lambda name: form.of(name) + tail, arena):
        data = block.data
        at = data.shape[-1] - len(form.end) - dtype.itemsize
        # A view of the values' bytes in the records: uint8 [t, x, y, z, record] → dtype [t, x, y, z] with
        # the strides of the records.
        room: NDArray[Any] = np.ndarray(block.box.shape, dtype, data, at, data.strides[:4])
        room[...] = values[block.box.within(box)]
        runs.append(Run.of(data))
    return runs


def _text_runs(box: Box, values: NDArray[Any], form: StringForm, arena: Arena) -> tuple[list[Run], int]:
    texts = text10.encode(values)
    numbers = np.arange(box.points).reshape(box.shape)
    runs = []
    for block in box_records(box, form.of, arena):
        fields = block.data.reshape(-1, block.data.shape[-1])  # [t, x, y, z, record] → [points, record]
        chosen = numbers[block.box.within(box)].reshape(-1)
        data, ends = text10.records(fields, texts, form, chosen)
        runs.append(Run(data=byte_view(data), ends=ends))
    return runs, xxhash.xxh3_64_intdigest(byte_view(texts.data))
