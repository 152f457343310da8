"""Wavefunctions in a layout, encoded, sent as bytes over plain redis-py, and looked at there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import hiredis
import numpy as np
import redis
from hypothesis import strategies as st
from numpy.typing import NDArray

from qwf_async.lattice.grid import Box, Order, shape4
from qwf_async.lattice.plan import BoxPlan, Chunk, Plan, RangePlan
from qwf_async.layout import Form, Layout
from qwf_async.wire.batch import Batch, Part
from qwf_async.wire.buckets import BUCKET
from qwf_async.wire.codec import stored
from tests.conftest import Server
from tests.support.loads import ask, wave

BASE = b"qwf:psi:{0123456789abcdef."
Hashes = dict[bytes, dict[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutCase:
    """A wavefunction in a form, the layout that it is stored in, and the values that come back."""

    form: Form
    layout: Layout
    psi: NDArray[Any]
    expected: NDArray[Any]

    @classmethod
    def of(cls, form: Form, *, by_restore: bool = False, seed: int = 0) -> LayoutCase:
        psi = stored(form.codec, wave(*form.shape, seed=seed))
        layout = form.open(BASE, by_restore=by_restore)
        return cls(form=form, layout=layout, psi=psi, expected=as_stored(form.codec, psi))

    @property
    def whole(self) -> Box:
        return Box(start=(0, 0, 0, 0), stop=self.form.shape)

    def batches(self) -> Iterable[Batch]:
        for chunk in self.form.plan:
            yield self.layout.encode(chunk, self.values_of(chunk), 0.5)

    def values_of(self, chunk: Chunk) -> NDArray[Any]:
        if not chunk.flat:
            return self.psi[chunk.box.slices]
        return np.concatenate([self.psi[box.slices].reshape(-1) for box in chunk.boxes])


def as_stored(codec: str, psi: NDArray[Any]) -> NDArray[Any]:
    """What is read back: ψ itself, or what ten decimals keep of it."""
    if codec != "text10":
        return psi
    texts = [(float(f"{value.real:.10f}"), float(f"{value.imag:.10f}")) for value in psi.reshape(-1)]
    return np.array(texts).view(np.complex128).reshape(psi.shape)


def send(client: redis.Redis, buffers: Iterable[bytes | memoryview], requests: int) -> list[Any]:
    """The replies to encoded requests, by a connection of redis-py."""
    connection: Any = client.connection_pool.get_connection()
    try:
        connection.send_packed_command([bytes(buffer) for buffer in buffers])
        return [connection.read_response() for _ in range(requests)]
    finally:
        client.connection_pool.release(connection)


def send_parts(client: redis.Redis, parts: Sequence[Part]) -> list[Any]:
    requests = sum(part.requests for part in parts)
    return send(client, [buffer for part in parts for buffer in part.buffers], requests)


def parsed(part: Part) -> list[list[bytes]]:
    """The requests of a part as hiredis reads them; not a byte may be left over."""
    reader = hiredis.Reader()
    reader.feed(b"".join(map(bytes, part.buffers)))
    requests = [reader.gets() for _ in range(part.requests)]
    assert not reader.has_data()
    return requests


def hashes(client: redis.Redis) -> Hashes:
    held: Hashes = {key: client.hgetall(key) for key in client.keys("*")}  # type: ignore[misc] # bytes, as it does not decode
    return held


@st.composite
def boxes(draw: st.DrawFn, shape: Sequence[int]) -> Box:
    """Any box of points of a grid."""
    starts = [draw(st.integers(0, size - 1)) for size in shape]
    stops = [draw(st.integers(start + 1, size)) for start, size in zip(starts, shape, strict=True)]
    return Box(start=shape4(starts), stop=shape4(stops))


ORDERS: tuple[Order, ...] = ("C", "F")


@st.composite
def plans(draw: st.DrawFn, form: Form, order: Order) -> Plan:
    """Plans of a form's own kind, of few points or many a chunk."""
    if isinstance(form.plan, RangePlan):
        return RangePlan(shape=form.shape, length=draw(st.integers(1, 4)) * BUCKET)
    pairs = zip(form.scheme.grain, form.shape, strict=True)
    chunk = shape4(min(size, unit * draw(st.integers(1, 1 + size // unit))) for unit, size in pairs)
    return BoxPlan(shape=form.shape, chunk=chunk, order=order)


def published_hashes(server: Server, name: str = "psi") -> tuple[bytes, Hashes]:
    """The beginning of the published keys, and all that lies under it, read with plain redis-py."""
    generation = ask(server, "HGET", f"qwf:{{{name}}}:meta", "generation").decode()
    base = f"qwf:{name}:{{{generation}.".encode()
    with server.plain as client:
        keys = [key for key in client.keys(base + b"*") if not key.endswith(b"}:j")]
        return base, {key: client.hgetall(key) for key in keys}
