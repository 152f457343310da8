"""Reading and changing beside a load, on a cluster with faults: what is read is never wrong, whatever is lost."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import anyio
import numpy as np
from numpy.typing import NDArray

import qwf_async
from qwf_async import Settings, sources
from qwf_async.errors import (
    DamagedData,
    DataLost,
    InvalidInput,
    OutOfMemory,
    QwfError,
    Refused,
    ServerUnavailable,
)
from tests.support.loads import wave
from tests.support.soak.cluster_faults import ClusterFault

SHAPE = (3, 9, 8, 7)
LOSS = (DamagedData, DataLost, InvalidInput, Refused)
"""What a reader is told whose wavefunction the cluster has lost, in whole or in part."""

HANGS = 60.0
"""Seconds after which a read or a change counts as hanging."""


@dataclass(slots=True, kw_only=True)
class Beside:
    """A wavefunction that is read and changed while a fault strikes. `problems` is what went wrong, in words."""

    name: str
    url: str
    layout: str
    settings: Settings
    chance: random.Random
    fault: ClusterFault
    psi: NDArray[np.complex128] = field(init=False)
    allowed: defaultdict[tuple[int, ...], set[complex]] = field(default_factory=lambda: defaultdict(set))
    problems: list[str] = field(default_factory=list)
    reads: int = 0
    changes: int = 0

    def __post_init__(self) -> None:
        self.psi = wave(*SHAPE, seed=self.chance.randrange(2**32))

    async def load(self) -> None:
        """Load it, before there is a fault."""
        async with qwf_async.connect(self.url, settings=self.settings) as store:
            await qwf_async.ingest(sources.array(self.psi), store, self.name, layout=self.layout)

    async def run(self) -> None:
        """Read and change until the fault is over."""
        while not self.fault.over.is_set():
            with anyio.move_on_after(HANGS) as hanging:
                try:
                    async with qwf_async.connect(self.url, settings=self.settings) as store:
                        psi = await store.open(self.name)
                        while not self.fault.over.is_set():
                            await (self._read(psi) if self.chance.random() < 0.7 else self._change(psi))
                            hanging.deadline = anyio.current_time() + HANGS
                            await anyio.sleep(0.01)
                except ServerUnavailable:
                    pass
                except QwfError as error:
                    self._explain(error)
            if hanging.cancelled_caught:
                self.problems.append("a read or a change hung")
            await anyio.sleep(0.1)

    async def check(self) -> None:
        """Read all of it, now that the cluster is whole."""
        async with qwf_async.connect(self.url, settings=self.settings) as store:
            try:
                self._compare(np.s_[:, :, :, :], await (await store.open(self.name)).read[...])
            except QwfError as error:
                self._explain(error)

    def _explain(self, error: QwfError) -> None:
        """An error must be caused by the fault."""
        if isinstance(error, LOSS):
            explained = self.fault.may_lose
        else:
            explained = isinstance(error, OutOfMemory) and self.fault.kind == "primary full"
        if not explained:
            self.problems.append(f"{type(error).__name__}: {error}")

    async def _read(self, psi: Any) -> None:
        starts = [self.chance.randrange(n) for n in SHAPE]
        index = tuple(slice(a, self.chance.randint(a + 1, n)) for a, n in zip(starts, SHAPE, strict=True))
        self._compare(index, await psi.read[index])
        self.reads += 1

    async def _change(self, psi: Any) -> None:
        t, x, y, z = place = tuple(self.chance.randrange(n) for n in SHAPE)
        value = complex(self.chance.random(), self.chance.random())
        self.allowed[place] |= {value, complex(self.psi[place])}
        await psi.update(x, y, z, t, value=value)
        self.changes += 1
        self.psi[place] = value
        if not self.fault.may_lose:  # nor will it be, as the last is then acknowledged
            self.allowed[place] = {value}

    def _compare(self, index: tuple[slice, ...], read: NDArray[Any]) -> None:
        """Check what was read: a point may have any that was set, or may have been, since one that must be there."""
        wanted, places = self.psi[index], np.indices(SHAPE)[(slice(None), *index)]
        for wrong in (tuple(found) for found in np.argwhere(read != wanted)):
            place = tuple(places[(slice(None), *wrong)].tolist())
            if complex(read[wrong]) not in self.allowed[place]:
                shown = f"{place} read as {read[wrong]}, not {wanted[wrong]} nor one of {self.allowed[place]}"
                self.problems.append(shown)
                break
