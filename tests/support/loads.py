"""Loads for tests of an ingest: arrays, sources that a test controls, and what a server then holds.

What is on a server is read with plain redis-py and compared byte for byte with a plain
twin of the codec. None of the code under test is used for it.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import numpy as np
import pytest
from numpy.typing import NDArray

import qwf_async
from qwf_async.errors import QwfError
from qwf_async.events import Event, GateMoved, Hook, MemorySampled, Noted, Progress, Retried
from qwf_async.lattice.grid import Box, Grid, Order
from qwf_async.server.memory import MemoryProbe, MemorySample
from qwf_async.source import Source
from tests.conftest import PATIENCE, Served

Contents = dict[bytes, Any]


def wave(*shape: int, seed: int = 0) -> NDArray[np.complex128]:
    """Random amplitudes of both signs, [t, x, y, z]."""
    numbers = np.random.default_rng(seed).normal(size=(2, *shape))
    result: NDArray[np.complex128] = numbers[0] + 1j * numbers[1]
    return result


def ask(server: Served, *command: Any) -> Any:
    """The reply to one command, over a connection of its own."""
    with server.plain as client:
        return client.execute_command(*command)


def held_until(server: Served, name: str = "psi") -> int:
    """When the lease of a load ends, in ms since 1970; 0 if there is no load."""
    return int(ask(server, "HGET", f"qwf:{{{name}}}:load", "owner_deadline") or 0)


def plain_fields(psi: NDArray[Any], codec: str, start: tuple[int, ...] = (0, 0, 0, 0)) -> dict[bytes, bytes]:
    """What a hash of ψ[t, x, y, z] should hold whose first point is `start`, a point at a time."""
    first_t, first_x, first_y, first_z = start
    return {
        b"x%d_y%d_z%d_t%d" % (first_x + x, first_y + y, first_z + z, first_t + t): _plain_value(
            complex(value), codec
        )
        for (t, x, y, z), value in np.ndenumerate(psi)
    }


def plain_groups(psi: NDArray[Any], meta: dict[bytes, bytes]) -> dict[int, dict[bytes, bytes]]:
    """What the hash of each group of ψ[t, x, y, z] should hold in layout flat, as the record says that it is cut."""
    codec, plan = meta[b"codec"].decode(), json.loads(meta[b"plan"])
    one_hash = json.loads(meta[b"parameters"]).get("slab") == "all"
    counts = [-(-size // piece) for size, piece in zip(psi.shape, plan["chunk"], strict=True)]
    groups: dict[int, dict[bytes, bytes]] = {}
    for place in np.ndindex(*counts):
        start = tuple(i * piece for i, piece in zip(place, plan["chunk"], strict=True))
        box = psi[tuple(slice(i, i + piece) for i, piece in zip(start, plan["chunk"], strict=True))]
        number = 0 if one_hash else int(np.ravel_multi_index(place, counts, order=plan["order"]))
        groups.setdefault(number, {}).update(plain_fields(box, codec, start))
    return groups


def _plain_value(value: complex, codec: str) -> bytes:
    if codec == "text10":
        return f"{value.real:.10f},{value.imag:.10f}".encode()
    return struct.pack("<dd" if codec == "c16" else "<ff", value.real, value.imag)


def published(server: Served, name: str = "psi") -> str | None:
    """The generation that readers see."""
    generation = ask(server, "HGET", f"qwf:{{{name}}}:meta", "generation")
    return generation.decode() if generation else None


def group_keys(server: Served, ending: str, name: str = "psi", *, of: str = "meta") -> list[str]:
    """The keys of that ending, group by group: of what is published, or of the load under way (`of="load"`).

    "s" is the ending of the data of layout flat, "j" that of journals.
    """
    generation = ask(server, "HGET", f"qwf:{{{name}}}:{of}", "generation").decode()
    with server.plain as client:
        keys = [key.decode() for key in client.scan_iter(f"qwf:{name}:{{{generation}.*}}:{ending}", 1000)]
    return sorted(keys, key=lambda key: int(key.split(".")[-1].split("}")[0]))


def data_keys(server: Served, name: str = "psi", *, of: str = "meta") -> list[str]:
    """The keys that hold the points in layout flat; see `group_keys`."""
    return group_keys(server, "s", name, of=of)


def taken(server: Served, name: str = "psi") -> int:
    """Bytes that the points take in layout flat."""
    return sum(int(ask(server, "MEMORY", "USAGE", key, "SAMPLES", 0)) for key in data_keys(server, name))


def journalled(server: Served, name: str = "psi", *, of: str = "load") -> int:
    """Chunks that the journal has."""
    return sum(int(ask(server, "HLEN", key)) for key in group_keys(server, "j", name, of=of))


def check_points(server: Served, psi: NDArray[Any], name: str = "psi", *, codec: str = "c16") -> None:
    """Check that every point of ψ[t, x, y, z] is stored under the name bit for bit in its hash, and nothing else."""
    meta = f"qwf:{{{name}}}:meta"
    with server.plain as client:
        held_meta = client.hgetall(meta)
        held = [client.hgetall(key) for key in data_keys(server, name)]
    assert held_meta[b"codec"] == codec.encode()
    wanted = plain_groups(psi, held_meta)
    assert [len(fields) for fields in held] == [len(wanted[number]) for number in sorted(wanted)]
    for number, fields in zip(sorted(wanted), held, strict=True):
        wrong = [point for point, value in wanted[number].items() if fields.get(point) != value]
        assert not wrong, f"{len(wrong)} points of group {number} are missing or wrong, first {wrong[0]!r}"


def contents(server: Served) -> Contents:
    """Everything on the server. Of the index only the names are compared, as which load it saw last does not matter."""
    with server.plain as client:
        found = {
            key: client.hgetall(key) if client.type(key) == b"hash" else client.get(key)
            for key in client.keys("*")
        }
    if isinstance(found.get(b"qwf:names"), dict):
        found[b"qwf:names"] = set(found[b"qwf:names"])
    return found


def check_alone(server: Served, name: str = "psi") -> None:
    """Check that a name has what is published, its journal and its place in the index, and no other key of ours."""
    generation = published(server, name)
    groups = range(len(data_keys(server, name)))
    keys = {f"qwf:{name}:{{{generation}.{n}}}:{ending}" for n in groups for ending in "js"}
    keys |= {f"qwf:{{{name}}}:meta", "qwf:names"}
    assert set(contents(server)) == {key.encode() for key in keys}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A source; before each read `before` is called in the reader's thread, with the box."""

    source: Source
    before: Callable[[Box], None]
    parallel: bool = False

    @property
    def spec(self) -> str:
        return self.source.spec

    @property
    def grid(self) -> Grid:
        return self.source.grid

    @property
    def order(self) -> Order:
        return self.source.order

    def read(self, box: Box) -> NDArray[Any]:
        self.before(box)
        return self.source.read(box)

    def fingerprint(self) -> str:
        return self.source.fingerprint()

    def close(self) -> None:
        self.source.close()


def held(source: Source, time: int, go_on: threading.Event) -> Watched:
    """The source; before it gives the times from `time` on it waits until it may go on."""

    def wait(box: Box) -> None:
        if box.start[0] >= time:
            assert go_on.wait(PATIENCE)

    return Watched(source=source, before=wait)


@dataclass(slots=True, kw_only=True)
class Events:
    """A hook that keeps what it was told."""

    all: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.all.append(event)

    @property
    def progress(self) -> list[Progress]:
        return [event for event in self.all if isinstance(event, Progress)]

    @property
    def moves(self) -> list[bool]:
        """Each time the memory gate moved, whether it shut."""
        return [event.shut for event in self.all if isinstance(event, GateMoved)]

    @property
    def warnings(self) -> list[str]:
        return [event.text for event in self.all if isinstance(event, Noted) and event.warning]


def when_stored(points: int, do: Callable[[], object]) -> Hook:
    """A hook that does something once, when so many points are stored. The event loop waits for it."""
    waiting = [do]

    def hook(event: Event) -> None:
        if isinstance(event, Progress) and event.points >= points and waiting:
            waiting.pop()()

    return hook


def refused_between_samples(monkeypatch: pytest.MonkeyPatch) -> Hook:
    """After its first look at the server's memory the watchdog looks again only when a writer was refused.

    The hook that tells it so is to be given to the ingest.
    """
    look = MemoryProbe.sample
    sampled, refused = anyio.Event(), anyio.Event()

    async def look_later(self: MemoryProbe) -> MemorySample:
        if sampled.is_set():
            await refused.wait()
        return await look(self)

    def hook(event: Event) -> None:
        if isinstance(event, MemorySampled):
            sampled.set()
        if isinstance(event, Retried):
            refused.set()

    monkeypatch.setattr(MemoryProbe, "sample", look_later)
    return hook


def claim_is_over(server: Served) -> bool:
    """Whether the claim of the owner of the load of `psi` has run out by the server's clock."""
    seconds, micros = ask(server, "TIME")
    deadline = int(ask(server, "HGET", "qwf:{psi}:load", "owner_deadline"))
    return int(seconds) * 1000 + int(micros) // 1000 > deadline


async def claim_over(server: Served) -> None:
    """Wait until the claim on the load of `psi` has run out. Its owner lives, and could not give it up."""
    with anyio.fail_after(PATIENCE):
        while not claim_is_over(server):  # noqa: ASYNC110 # the server's clock tells nobody
            await anyio.sleep(0.01)


class Enough(Exception):
    """Raised by a hook to end an ingest at a known place."""


def enough() -> None:
    raise Enough


async def leave_unfinished(
    server: Served, source: Source, points: int, name: str = "psi", **options: Any
) -> None:
    """Begin a load and end it when so many points are stored: what is left can be resumed."""
    async with qwf_async.connect(server.url) as store:
        try:
            await qwf_async.ingest(source, store, name, hooks=(when_stored(points, enough),), **options)
        except Enough:
            return
    raise AssertionError("the ingest was not ended")


async def refusal(source: Source, server: Served, **options: Any) -> QwfError:
    """The error of ours that an ingest into `psi` ends in."""
    try:
        report = await ingested(server, source, **options)
    except QwfError as error:
        return error
    raise AssertionError(f"the ingest succeeded: {report}")


async def ingested(
    server: Served, source: Source, *, settings: dict[str, Any] | None = None, **options: Any
) -> qwf_async.Report:
    """The report of an ingest into `psi`."""
    async with qwf_async.connect(server.url, settings=qwf_async.Settings(**settings or {})) as store:
        return await qwf_async.ingest(source, store, "psi", **options)


def in_a_thread(job: Callable[[], Any]) -> None:
    """Run an asynchronous job in another thread, on an event loop of its own, while this one waits."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            anyio.run(job)
        except BaseException as error:  # noqa: BLE001 # whatever it is, the test that waits shall see it
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def used(server: Served) -> int:
    """Bytes of memory that the server uses."""
    with server.plain as client:
        return int(client.info("memory")["used_memory"])


def when(kind: type[Event], do: Callable[[], object], text: str = "") -> Hook:
    """A hook that does something once, at the first event of a kind that says so."""
    waiting = [do]

    def hook(event: Event) -> None:
        if isinstance(event, kind) and text in str(event) and waiting:
            waiting.pop()()

    return hook


def clients(server: Served) -> int:
    """Connections that the server counts, without the one that asks."""
    with server.plain as client:
        return int(client.info("clients")["connected_clients"]) - 1


async def check_no_client_left(server: Served, *, but: int = 0) -> None:
    """Return when the server counts no connection of ours any more, besides `but`."""
    with anyio.fail_after(PATIENCE):
        while clients(server) > but:  # noqa: ASYNC110 # the server sees a closed connection a moment later
            await anyio.sleep(0.01)
