"""What every contestant loads: the same wavefunction, as an array and in plain Python's forms of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from qwf_async.lattice.grid import Shape4

KEY = "psi"
"""The hash that the peers write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """ψ[t, x, y, z], complex128 in C order, of one time."""

    psi: NDArray[np.complex128]

    @classmethod
    def packet(cls, side: int) -> Workload:
        """A moving Gaussian packet on side³ points: exp(−r²/2 + 2ix) for −4 ≤ x, y, z < 4 (bohr)."""
        q = np.arange(side) * (8 / side) - 4
        envelope = np.exp(-(q**2) / 2)
        psi = (envelope * np.exp(2j * q))[:, None, None] * envelope[:, None] * envelope
        return cls(psi=psi[None] / np.linalg.norm(psi))

    @property
    def shape(self) -> Shape4:
        t, x, y, z = self.psi.shape
        return (t, x, y, z)

    @property
    def points(self) -> int:
        return self.psi.size

    def part(self, share: float) -> Workload:
        """The first planes along x, about `share` of them and at least one."""
        return Workload(psi=self.psi[:, : max(1, round(share * self.psi.shape[1]))])

    def names(self) -> Iterator[str]:
        """The field of each point, in C order."""
        _, nx, ny, nz = self.psi.shape
        ends = [f"_z{z}_t0" for z in range(nz)]
        for x, y in product(range(nx), range(ny)):
            row = f"x{x}_y{y}"
            for end in ends:
                yield row + end

    def values(self) -> Iterator[bytes]:
        """The value of each point as complex128, little-endian, 16 bytes."""
        data = self.psi.astype("<c16", copy=False).tobytes()
        return (data[at : at + 16] for at in range(0, len(data), 16))

    def mappings(self, size: int) -> Iterator[dict[str, bytes]]:
        """Fields and values, `size` points at a time."""
        pairs = zip(self.names(), self.values(), strict=True)
        while mapping := dict(islice(pairs, size)):
            yield mapping

    def write_requests(self, path: Path, fields: int) -> None:
        """A file of HSET requests of up to `fields` fields each, for one hash, as `redis-cli --pipe` takes it."""
        with path.open("wb") as file:
            for mapping in self.mappings(fields):
                _write_request(file, mapping)


def _write_request(file: IO[bytes], mapping: dict[str, bytes]) -> None:
    file.write(b"*%d\r\n$4\r\nHSET\r\n$%d\r\n%s\r\n" % (2 + 2 * len(mapping), len(KEY), KEY.encode()))
    for name, value in mapping.items():
        file.write(b"$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(name), name.encode(), len(value), value))
