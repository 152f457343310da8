"""The memory gate and its watchdog: watermarks, cleaning, giving up. Samples are handed in; there is no server.

Time is the tests' own: it passes while something sleeps, and not while the machine is busy.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.catalog.cleaning import Cleaned
from qwf_async.errors import DamagedData, OutOfMemory, QwfError, Refused, ServerUnavailable
from qwf_async.events import GateMoved, Noted
from qwf_async.ingesting.gate import Gate, Watermarks
from qwf_async.ingesting.watchdog import Watchdog
from qwf_async.server.memory import Bound, MemorySample
from qwf_async.settings import Settings
from tests.conftest import PATIENCE
from tests.support.loads import Events

pytestmark = pytest.mark.anyio

fills = st.floats(0, 1.5)

WATERMARKS = Watermarks(high=Settings().high_watermark, low=Settings().low_watermark)


@dataclass(slots=True)
class Clock:
    """A clock that the tests set: a sleep lets its seconds pass at once."""

    now: float = 1000.0

    def read(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await anyio.lowlevel.checkpoint()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(anyio, "current_time", clock.read)
    monkeypatch.setattr(anyio, "sleep", clock.sleep)
    return clock


@pytest.mark.parametrize(
    ("fill", "is_shut", "nothing_left", "shut"),
    [
        (0.84, False, False, False),
        (0.85, False, False, True),
        (0.85, False, True, True),
        (0.80, True, False, True),
        (0.75, True, False, True),
        (0.74, True, False, False),
        (0.84, True, True, False),
        (0.85, True, True, True),
    ],
)
def test_the_gate_shuts_at_the_high_watermark_and_opens_below_the_low(
    fill: float, is_shut: bool, nothing_left: bool, shut: bool
) -> None:
    assert WATERMARKS.shut(fill, is_shut=is_shut, nothing_left=nothing_left) == shut


@given(st.lists(st.tuples(fills, st.booleans()), max_size=50), st.floats(0.1, 0.9), st.floats(0.01, 0.5))
def test_the_gate_is_never_open_at_the_high_watermark_nor_shut_below_the_low(
    samples: list[tuple[float, bool]], low: float, gap: float
) -> None:
    marks = Watermarks(high=low + gap, low=low)
    is_shut = False
    for fill, nothing_left in samples:
        before, is_shut = is_shut, marks.shut(fill, is_shut=is_shut, nothing_left=nothing_left)
        assert is_shut or fill < marks.high
        assert not is_shut or fill >= marks.low
        if marks.low <= fill < marks.high and not nothing_left:
            assert is_shut == before


def of(used: int, limit: int | None = 1000, *, copied: int = 0, policy: str | None = None) -> MemorySample:
    """A sample of a server with one limit, or none."""
    bounds = () if limit is None else (Bound(what="the memory", used=used, limit=limit, copied=copied),)
    return MemorySample(used=used, bounds=bounds, policy=policy)


async def watch(
    told: Sequence[float | Exception | MemorySample],
    *,
    clean: Callable[[], Cleaned | Awaitable[Cleaned]] = Cleaned,
    gate: Gate | None = None,
    gate_timeout: float = 20.0,
    evictable: bool = False,
    limit: int | None = 1000,
) -> tuple[Gate, Events]:
    """A watchdog that gets these fills, samples or errors in turn, until it has acted on the last of them."""
    gate, events = gate or Gate(), Events()
    waiting = list(told)

    async def probe() -> MemorySample:
        if not waiting:
            tasks.cancel_scope.cancel()
            await anyio.sleep_forever()
        sample = waiting.pop(0)
        if isinstance(sample, Exception):
            raise sample
        if isinstance(sample, MemorySample):
            return sample
        return of(int(1000 * sample), limit)

    async def cleaner() -> Cleaned:
        found = clean()
        return found if isinstance(found, Cleaned) else await found

    dog = watchdog(gate, probe, events, clean=cleaner, gate_timeout=gate_timeout, evictable=evictable)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dog.run)
    return gate, events


async def nothing() -> Cleaned:
    return Cleaned()


def watchdog(
    gate: Gate,
    probe: Callable[[], Awaitable[MemorySample]],
    events: Events,
    *,
    clean: Callable[[], Awaitable[Cleaned]] = nothing,
    gate_timeout: float = 20.0,
    evictable: bool = False,
) -> Watchdog:
    return Watchdog(
        gate=gate,
        probe=probe,
        clean=clean,
        watermarks=WATERMARKS,
        interval=0.2,
        timeout=gate_timeout,
        evictable=evictable,
        hook=events,
    )


def some() -> Cleaned:
    return Cleaned(scratch_fields=3, generations=1)


async def test_the_watchdog_cleans_while_there_is_something_and_opens_below_the_low_watermark() -> None:
    gate, events = await watch([0.5, 0.86, 0.8, 0.76], clean=some)
    assert gate.is_shut
    assert events.moves == [True]
    notes = [event.text for event in events.all if isinstance(event, Noted)]
    assert notes == ["cleaned 3 scratch fields, 1 superseded generations to free memory"] * 3
    gate, events = await watch([0.5, 0.86, 0.8, 0.74, 0.84], clean=some)
    assert not gate.is_shut
    assert events.moves == [True, False]


async def test_the_watchdog_opens_below_the_high_watermark_when_nothing_is_left_to_clean() -> None:
    gate, events = await watch([0.9, 0.85])
    assert gate.is_shut
    gate, events = await watch([0.9, 0.85, 0.84])
    assert events.moves == [True, False]
    assert "nothing left to clean" in next(
        e.reason for e in events.all if isinstance(e, GateMoved) and not e.shut
    )


@asynccontextmanager
async def waiting_writer(gate: Gate) -> AsyncIterator[None]:
    """A writer that wants to pass, and gets no batch through."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gate.wait_until_open)
        yield
        tasks.cancel_scope.cancel()


async def pressed(gate: Gate, seconds: float) -> None:
    """Wait until memory has held the writers up for these seconds."""
    while gate.blocked_for < seconds:  # noqa: ASYNC110 # it is the time itself that is waited for
        await anyio.sleep(0.25)


def one_of(group: BaseException) -> BaseException:
    """The error in nested groups that hold one."""
    while isinstance(group, BaseExceptionGroup):
        (group,) = group.exceptions
    return group


async def test_the_watchdog_gives_up_when_a_writer_waited_for_too_long() -> None:
    gate = Gate()
    gate.shut()
    with pytest.raises(ExceptionGroup) as caught:
        async with waiting_writer(gate):
            await watch([0.9] * 1000, gate=gate)
    error = one_of(caught.value)
    assert isinstance(error, OutOfMemory)
    assert "900 bytes of 1.0 kB" in str(error)


async def test_a_gate_that_keeps_nobody_waiting_ends_nothing() -> None:
    gate, _ = await watch([0.9] * 200, gate_timeout=1.0)
    assert gate.is_shut
    assert gate.blocked_for == 0


async def test_memory_that_was_freed_at_the_last_moment_counts() -> None:
    gate = Gate()
    gate.shut()

    async def slow() -> Cleaned:
        await pressed(gate, 21.0)
        return Cleaned()

    async with waiting_writer(gate):
        await watch([0.9, 0.84], gate=gate, clean=slow)
        assert not gate.is_shut


async def test_a_server_that_refuses_what_its_figures_allow_is_given_up() -> None:
    gate = Gate()

    async def write() -> None:
        while True:
            await gate.wait_until_open()
            gate.shut()

    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 # the group is the statement
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            await watch([0.5] * 1000, gate=gate)
    assert "the server refuses writes" in str(one_of(caught.value))


async def test_cleaning_that_took_long_and_helped_is_not_held_against_it() -> None:
    gate = Gate()
    gate.shut()

    async def slow() -> Cleaned:
        await pressed(gate, 21.0)
        return some()

    async with waiting_writer(gate):
        await watch([0.9, 0.7], gate=gate, clean=slow)
        assert not gate.is_shut


async def test_time_in_which_batches_got_through_does_not_count() -> None:
    gate = Gate()
    gate.shut()
    async with waiting_writer(gate):
        await pressed(gate, 3.0)
        gate.open()
        assert gate.blocked_for >= 3.0  # open, but nothing came through yet
        gate.note_progress()
        assert gate.blocked_for == 0
    gate.shut()
    async with waiting_writer(gate):
        await anyio.wait_all_tasks_blocked()
        gate.note_progress()  # a batch that was on its way when the gate shut proves nothing
        await pressed(gate, 3.0)


async def test_a_server_that_went_away_while_the_gate_was_shut_is_left_to_the_writers() -> None:
    gate = Gate()
    gate.shut()
    async with waiting_writer(gate):
        await pressed(gate, 3.0)
        _, events = await watch([0.9, ServerUnavailable("away")], gate=gate)
        assert not gate.is_shut
        assert events.moves == [False]
    gate, events = await watch([0.9, ServerUnavailable("away")])
    assert gate.is_shut  # nobody waits: nothing is told of a gate that is not used
    assert events.moves == [True]


async def test_time_in_which_the_server_was_away_does_not_count() -> None:
    gate = Gate()
    gate.shut()

    async def away() -> MemorySample:
        if not waiting:
            tasks.cancel_scope.cancel()
            await anyio.sleep_forever()
        await pressed(gate, waiting.pop())
        raise ServerUnavailable("away")

    async with waiting_writer(gate):
        waiting = [9.0, 9.0, 9.0]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watchdog(gate, away, Events()).run)
        assert gate.blocked_for == pytest.approx(0.2)  # since the last of them


async def test_a_fork_is_waited_for_without_cleaning_what_it_would_copy() -> None:
    cleaned: list[int] = []

    def clean() -> Cleaned:
        cleaned.append(1)
        return some()

    gate, events = await watch([of(900, copied=300)] * 3, clean=clean)
    assert gate.is_shut
    assert not cleaned
    assert "300 bytes of it by a fork for saving" in next(
        e.reason for e in events.all if isinstance(e, GateMoved)
    )
    gate, _ = await watch([of(900, copied=300), of(800, copied=300)], clean=clean)
    assert not gate.is_shut
    await watch([of(900, copied=300), of(900)], clean=clean)
    assert cleaned == [1]


async def test_a_policy_that_became_one_that_evicts_ends_it() -> None:
    evicts = of(1, policy="allkeys-lfu")
    with pytest.raises(ExceptionGroup) as caught:
        await watch([0.1, evicts])
    assert isinstance(caught.value.exceptions[0], OutOfMemory)
    assert "maxmemory-policy became allkeys-lfu" in str(caught.value.exceptions[0])
    await watch([0.1, evicts], evictable=True)
    await watch([of(1, policy="volatile-lru")])


async def test_without_a_limit_the_gate_stays_open() -> None:
    gate, events = await watch([5.0], limit=None)
    assert not gate.is_shut
    assert events.moves == []


async def test_a_server_that_is_away_is_sampled_again() -> None:
    gate, _ = await watch([ServerUnavailable("away"), 0.9, ServerUnavailable("away"), 0.1], clean=some)
    assert not gate.is_shut


@pytest.mark.parametrize("error", [Refused("may not"), DamagedData("not ours"), ServerUnavailable("away")])
async def test_what_keeps_it_from_cleaning_is_told_once_and_ends_nothing(error: QwfError) -> None:
    def fail() -> Cleaned:
        raise error

    gate, events = await watch([0.9, 0.9, 0.9, 0.8], clean=fail)
    assert not gate.is_shut
    assert events.warnings == ([] if isinstance(error, ServerUnavailable) else [f"cannot clean: {error}"])


async def test_where_info_is_forbidden_the_gate_is_tried_again_after_a_pause() -> None:
    gate, events = Gate(), Events()
    gate.shut()

    async def probe() -> MemorySample:
        raise Refused("no INFO for you")

    dog = watchdog(gate, probe, events, gate_timeout=20.0)

    async def write() -> None:
        while True:  # every batch is refused
            await gate.wait_until_open()
            gate.shut()

    with anyio.fail_after(PATIENCE), pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 # the group is the statement
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dog.run)
            tasks.start_soon(write)
    assert isinstance(caught.value.exceptions[0], OutOfMemory)
    assert "the server refuses writes" in str(caught.value.exceptions[0])
    assert events.warnings == ["the server forbids INFO: its memory is not watched"]
