"""Transforms by FFTW (pyfftw), with plans that are measured once and kept in the user's data directory.

Which plan is fastest is measured, so another measurement may find another plan, whose rounding
differs. FFTW's wisdom of a measurement is therefore kept in a file, one for each shape, release and
machine, and later runs plan by it. That the plan is the same is not taken on trust: `facts` has a digest
of what the plans make of fixed numbers, to the last bit. A run whose digest differs does not
continue another one.

FFTW's wisdom belongs to the process. It is set aside while plans are made, and put back.
"""

from __future__ import annotations

import hashlib
import math
import os
import platform
import queue
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...lattice.grid import Shape4
from .transforms import inner_axes

Complex = NDArray[np.complex128]
Plans = Mapping[tuple[str, tuple[int, ...]], Any]
"""A plan for each kind of transform and each shape of a block."""

FLAGS: Final = ("FFTW_MEASURE", "FFTW_UNALIGNED")
"""Longer planning (FFTW_PATIENT) takes ten times as long, and found nothing faster."""

_PLANNING: Final = threading.Lock()
"""Held while the wisdom of the process is set aside."""


class PlansNotKept(Exception):
    """The wisdom of a measurement could not be stored, so its plans would not be found again."""


@dataclass(slots=True, kw_only=True)
class FftwTransforms:
    """By FFTW, for blocks of `across_x` × y × z and x × `across_y` × z points of a grid, and what is left of it.

    `threads` is how many may call at once. `folder` is where the wisdom is kept.
    """

    shape: Shape4
    across_x: int
    across_y: int
    threads: int
    folder: Path
    facts: str = field(init=False)
    _inner: tuple[int, ...] = field(init=False)
    _scale: float = field(init=False)
    _free: queue.LifoQueue[Plans] = field(init=False, default_factory=queue.LifoQueue)

    def __post_init__(self) -> None:
        """Make the plans, which may take seconds. Raises PlansNotKept if their wisdom cannot be stored."""
        import pyfftw  # heavy, and optional

        self._inner = inner_axes(self.shape)
        self._scale = 1.0 / math.prod(self.shape[2:])
        release = f"fftw={pyfftw.fftw_version} by pyfftw={pyfftw.__version__}"
        sizes = f"{self.shape[1:]} in {self.across_x}, {self.across_y}"
        name = hashlib.sha256(
            f"{release} {sizes} {platform.node()} {platform.machine()}".encode()
        ).hexdigest()
        sets = self._planned(self.folder / f"{name[:32]}.wisdom")
        for plans in sets:
            self._free.put(plans)
        self.facts = f"{release}, plan {_digest(sets[0])}"

    def forward(self, block: Complex, factor: Complex) -> None:
        if self._inner:
            self._execute("forward", block)
            block *= factor * self._scale  # FFTW does not divide by the number of points, there or back

    def back(self, block: Complex) -> None:
        if self._inner:
            self._execute("back", block)

    def along(self, block: Complex, factor: Complex) -> None:
        self._execute("forward along", block)
        block *= factor / len(block)
        self._execute("back along", block)

    def _execute(self, kind: str, block: Complex) -> None:
        with self._lent() as plans:
            plan = plans[kind, block.shape]
            plan.update_arrays(block, block)
            plan.execute()

    @contextmanager
    def _lent(self) -> Iterator[Plans]:
        plans = self._free.get()
        try:
            yield plans
        finally:
            self._free.put(plans)

    def _planned(self, path: Path) -> Sequence[Plans]:
        """Plans for each thread, by the wisdom in the file, which is written if it is not there."""
        import pyfftw  # heavy, and optional

        with _PLANNING:
            aside = pyfftw.export_wisdom()
            try:
                if not _taken_from(path):
                    pyfftw.forget_wisdom()
                    self._plans()
                    _store(path, pyfftw.export_wisdom()[0])
                    if not _taken_from(path):  # another process may have been first: its plans are kept
                        raise PlansNotKept(f"{path} cannot be read")
                return [self._plans() for _ in range(self.threads)]
            finally:
                pyfftw.forget_wisdom()
                pyfftw.import_wisdom(aside)

    def _plans(self) -> Plans:
        import pyfftw  # heavy, and optional

        frame = np.empty(self.shape[1:], np.complex128)
        plans = {}
        for block in _ends(frame, 0, self.across_x) if self._inner else ():
            for kind, direction in (("forward", "FFTW_FORWARD"), ("back", "FFTW_BACKWARD")):
                plans[kind, block.shape] = pyfftw.FFTW(
                    block, block, axes=self._inner, direction=direction, flags=FLAGS
                )
        for block in _ends(frame, 1, self.across_y):
            for kind, direction in (("forward along", "FFTW_FORWARD"), ("back along", "FFTW_BACKWARD")):
                plans[kind, block.shape] = pyfftw.FFTW(
                    block, block, axes=(0,), direction=direction, flags=FLAGS
                )
        return plans


def _ends(frame: Complex, axis: int, count: int) -> Iterator[Complex]:
    """A block of a frame of `count` points along an axis, and the one that is left at its end if it is smaller."""
    yield frame[:count] if axis == 0 else frame[:, :count]
    if left := frame.shape[axis] % count if frame.shape[axis] > count else 0:
        yield frame[-left:] if axis == 0 else frame[:, -left:]


def _digest(plans: Plans) -> str:
    """What the plans make of fixed numbers, as 16 hex digits."""
    digest = hashlib.sha256()
    for _, plan in sorted(plans.items(), key=lambda item: item[0]):
        block = plan.input_array
        # Multiples of an odd number, modulo 2³², divided by it: scattered, and the same for every release of NumPy.
        numbers = np.arange(2 * block.size, dtype=np.uint64) * 2654435761 % 2**32 / 2.0**32 - 0.5
        block[...] = numbers.view(np.complex128).reshape(block.shape)
        plan.execute()
        digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()[:16]


def _taken_from(path: Path) -> bool:
    """Whether the wisdom in a file is now that of the process, and no other."""
    import pyfftw  # heavy, and optional

    try:
        wisdom = path.read_bytes()
    except OSError:
        return False
    pyfftw.forget_wisdom()
    return bool(pyfftw.import_wisdom((wisdom, b"", b""))[0])


def _store(path: Path, wisdom: bytes) -> None:
    """Write wisdom to a file, unless there is one that can be read. Raises PlansNotKept if it cannot be written."""
    written: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            written = Path(file.name)
            file.write(wisdom)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(written, path)
        except FileExistsError:
            if not _taken_from(path):
                written.replace(path)
    except OSError as error:
        raise PlansNotKept(f"{path} cannot be written: {error}") from error
    finally:
        if written is not None:
            written.unlink(missing_ok=True)
