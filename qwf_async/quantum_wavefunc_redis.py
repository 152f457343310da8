"""The names of an older project, quantum_wavefunc_redis, over the synchronous store: what was written for it goes on.

    from qwf_async.quantum_wavefunc_redis import QuantumRedisConfig, WaveFuncHashHandler, generate_wave_func

    with WaveFuncHashHandler(QuantumRedisConfig(host="localhost", hash_key="wavefunc")) as handler:
        handler.batch_save(generate_wave_func(16, 16, 16, 4))
        handler.get_point(8, 8, 8, 0)

Arrays are ψ[x, y, z, t] here, as the fields `x{x}_y{y}_z{z}_t{t}` name a point, and all points are in
one hash, as text `re,im` with 10 decimals. That loses what is smaller than 1e-10: new code is better
off with `qwf_async.open`.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import quote

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checked import check_fields
from .errors import InvalidInput, UnknownName, UnusableIndex
from .lattice.grid import Box, Grid
from .observables import of_value
from .source.analytic import gaussian
from .source.array import array
from .source.elements import unmasked
from .sync.store import open as open_store
from .sync.wavefunction import Wavefunction

BOX: Final = 20.0
"""Extent of each axis of the wavefunction that `generate_wave_func` makes, in bohr."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantumRedisConfig:
    """Where the hash is, how it is written, and the grid of `generate_wave_func`.

    Attributes
    ----------
    url: the server, as for `qwf_async.open`. With it, or if it and `host` are None, host, port and db mean nothing.
    host, port, db: the server. If `host` is None the settings decide (QWF_URL, REDIS_URL), or else
        the embedded server is used.
    username, password: as the server wants them, left out of the repr.
    hash_key: the name of the wavefunction. What a name cannot have, such as a colon, becomes a dot;
        the key of the hash on the server is `WaveFuncHashHandler.hash_key`.
    batch_size: fields that are looked at in one step of cleaning. How many are written at a time
        is no choice any more.
    maxmemory: bytes that the server may use where it sets no limit itself, also as text, "512mb".
    maxmemory_policy: not set on any server. One that evicts stored data, as allkeys-lru, is refused.
    max_connections, socket_timeout: connections at a time, and seconds without any answer.
    nx, ny, nz, nt: points along each axis, and times, of `generate_wave_func`.
    dt: time between two of its frames, ħ/Eh.
    """

    url: str | None = field(default=None, repr=False)
    host: str | None = None
    port: int = 6379
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    hash_key: str = "quantum_wavefunc"
    batch_size: int = 1000
    maxmemory: int | str | None = None
    maxmemory_policy: str | None = None
    max_connections: int | None = None
    socket_timeout: float | None = None
    nx: int = 16
    ny: int = 16
    nz: int = 16
    nt: int = 4
    dt: float = 0.1

    def __post_init__(self) -> None:
        check_fields(self)
        if self.maxmemory_policy not in (None, "noeviction"):
            warnings.warn(
                f"maxmemory_policy {self.maxmemory_policy!r} is not set on the server: it may lose stored data",
                stacklevel=3,
            )

    @property
    def name(self) -> str:
        """The name of the wavefunction: `hash_key`, with a dot for what a name cannot have."""
        return re.sub(r"[^A-Za-z0-9._-]", ".", self.hash_key)[:128] or "quantum_wavefunc"

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of `qwf_async.open`; what is None is left to file and environment."""
        url = self.url
        if url is None and self.host is not None:
            user = (
                ""
                if self.username is None and self.password is None
                else (f"{quote(self.username or '', safe='')}:{quote(self.password or '', safe='')}@")
            )
            host = f"[{self.host}]" if ":" in self.host else self.host
            url = f"redis://{user}{host}:{self.port}/{self.db}"
        return {
            "url": url,
            "clean_batch": self.batch_size,
            "memory_limit": self.maxmemory,
            "max_connections": self.max_connections,
            "socket_timeout": self.socket_timeout,
        }


def generate_wave_func(
    nx: int | QuantumRedisConfig | None = None,
    ny: int | None = None,
    nz: int | None = None,
    nt: int | None = None,
    *,
    dt: float | None = None,
    config: QuantumRedisConfig | None = None,
) -> NDArray[np.complex128]:
    """A free Gaussian packet that moves along x, normalised: complex128 [x, y, z, t].

    Its sizes are given, or are those of a configuration, which may be the first argument.
    Raises InvalidInput for sizes below 1.
    """
    if isinstance(nx, QuantumRedisConfig):
        nx, config = None, nx
    c = config or QuantumRedisConfig()
    sizes = [c.nx if nx is None else nx, c.ny if ny is None else ny, c.nz if nz is None else nz]
    frames, step = (c.nt if nt is None else nt), (c.dt if dt is None else dt)
    grid = Grid.of(sizes, box=[BOX] * 3, frames=frames, dt=step)
    whole = Box(start=(0, 0, 0, 0), stop=grid.shape)
    return np.moveaxis(gaussian(k=(1.0, 0.0, 0.0), sigma=2.0, grid=grid).read(whole), 0, -1)


class WaveFuncHashHandler:
    """The wavefunction of one hash: saved, read by points, measured. A context manager, or ended by `close`.

    `config` is a QuantumRedisConfig; without one its attributes may be given by name here.
    Raises as `qwf_async.open`.
    """

    def __init__(self, config: QuantumRedisConfig | None = None, **attributes: Any) -> None:
        try:
            self.config = config or QuantumRedisConfig(**attributes)
        except TypeError as error:
            raise InvalidInput(f"{error}: see QuantumRedisConfig") from error
        self.store = open_store(**self.config.settings)
        self._psi: Wavefunction | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.store.close()

    @property
    def psi(self) -> Wavefunction:
        """The stored wavefunction. Raises InvalidInput if nothing was saved."""
        if self._psi is None:
            self._psi = self.store[self.config.name]
        return self._psi

    @property
    def hash_key(self) -> str:
        """The key of the hash on the server, for any other client."""
        return self.psi.where(0).key.decode()

    @staticmethod
    def field(x: int, y: int, z: int, t: int = 0) -> str:
        """The field of a point in the hash."""
        return f"x{x}_y{y}_z{z}_t{t}"

    def batch_save(self, wave_func: ArrayLike, t: int | None = None) -> int:
        """Save ψ[x, y, z, t], in place of what was saved; or ψ[x, y, z] of one time. Returns the number of points.

        A time that is saved already is changed in place, and the next one is appended. Readers see
        the old or the new. Raises InvalidInput for a time beyond the next, and as `qwf_async.ingest`.
        """
        values = unmasked(wave_func)
        if t is None and values.ndim == 4:
            self._ingest(np.moveaxis(values, -1, 0))
            return values.size
        if not 1 <= values.ndim <= 3:
            raise InvalidInput(
                f"a wavefunction is [x, y, z, t], or [x, y, z] of one time, not of shape {values.shape}"
            )
        frame = values.reshape(values.shape + (1,) * (3 - values.ndim))
        if t is None:
            self._ingest(frame[None])
            return values.size
        saved = self.psi if self.config.name in self.store else None
        times = 0 if saved is None else len(saved)
        if not 0 <= t <= times:
            raise InvalidInput(f"time {t} cannot be saved: {times} times are, and the next is {times}")
        if saved is not None and t < times:
            saved[t] = frame
        else:
            self._ingest(frame[None] if saved is None else np.concatenate([saved, frame[None]]))
        return values.size

    def get_point(self, x: int, y: int, z: int, t: int = 0) -> complex | None:
        """ψ at a grid point; None if it is not stored, as HGET has it."""
        try:
            return self.psi.point(x, y, z, t)
        except (UnknownName, UnusableIndex):
            return None

    def set_point(self, x: int, y: int, z: int, t: int, value: complex) -> None:
        """Change ψ at a grid point that is stored. Raises InvalidInput if it is not."""
        self.psi.update(x, y, z, t, value=value)

    def calc_observables(self, *point_or_value: complex) -> dict[str, float]:
        """`modulus`, `probability_density` and `phase` (radians) of one value, or of the value at x, y, z, t.

        Raises InvalidInput if the point is not stored.
        """
        point: Any = point_or_value
        if not point:
            raise InvalidInput("calc_observables takes a value, or the indices x, y, z, t of a point")
        value = point[0] if len(point) == 1 else self.psi.point(*point)
        found = of_value(value)
        return {
            "modulus": found["modulus"],
            "probability_density": found["density"],
            "phase": found["phase"],
        }

    def get_stats(self) -> dict[str, Any]:
        """Of the hash `hash_key`, `field_count`, `memory_bytes`, `encoding`; of the server `used_memory`, `maxmemory`.

        Bytes are None where the server forbids the question. Raises InvalidInput if nothing was saved.
        """
        info, server = self.psi.info(), self.store.server_info()
        a_point = info["bytes_per_point"]
        return {
            "hash_key": info["first_key"],
            "field_count": info["fields"],
            "memory_bytes": None if a_point is None else round(a_point * info["points"]),
            "encoding": info["encoding"],
            "used_memory": server.get("used"),
            "maxmemory": server.get("limit"),
        }

    def clean_temp_data(self) -> int:
        """Remove what is expendable, by HSCAN in steps of `batch_size`. Returns the number of fields and loads."""
        cleaned = self.store.clean()
        return cleaned.scratch_fields + cleaned.generations + cleaned.abandoned_loads

    def _ingest(self, values: NDArray[Any]) -> None:
        source = array(values.astype(np.complex128), dims="t,x,y,z")
        self.store.ingest(source, self.config.name, codec="text10", slab="all", overwrite=True)
        self._psi = None
