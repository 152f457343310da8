"""A file of values that a command writes: its progress, signals that stop it, and the report in the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..events import progress_of
from ..human import count, counted, duration
from ..ingesting.shutdown import shutdown_on_signals
from .output import print_json, say
from .progress import shown_progress


class WriteValues(Protocol):
    """Writes a file, and tells `done` the points that it has written."""

    async def __call__(self, *, done: Callable[[int], object]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFile:
    """A file of values of ψ: its path, the shape and type of the values, and the seconds that it took."""

    file: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    points: int
    seconds: float

    @property
    def points_per_s(self) -> float:
        return self.points / self.seconds

    def print(self, *, as_json: bool, quiet: bool) -> None:
        """Print the report as JSON, or say it in one line unless `quiet`."""
        if as_json:
            print_json(
                {
                    "file": self.file,
                    "shape": self.shape,
                    "dtype": self.dtype.name,
                    "points": self.points,
                    "seconds": self.seconds,
                    "points_per_s": self.points_per_s,
                }
            )
        elif not quiet:
            shape = "×".join(map(str, self.shape)) or "one point"
            say(
                f"wrote {self.file}: {counted(self.points, 'point')} ({shape}, {self.dtype.name}) in "
                f"{duration(self.seconds)}, {count(self.points_per_s)} points/s"
            )


async def write_values(
    write: WriteValues,
    file: str,
    *,
    shape: tuple[int, ...],
    points: int,
    dtype: np.dtype[Any],
    quiet: bool,
) -> WrittenFile:
    """Run `write` and show its progress. Raises Interrupted at a signal: `write` must leave no file when cancelled."""
    start = time.monotonic()
    with shown_progress(quiet=quiet) as hook:
        async with shutdown_on_signals(0) as shutdown:
            with shutdown.scope:
                await write(done=progress_of(hook, points, point_bytes=dtype.itemsize))
                seconds = time.monotonic() - start
                return WrittenFile(file=file, shape=shape, dtype=dtype, points=points, seconds=seconds)
    raise shutdown.interrupted(f"{file} was not written")
