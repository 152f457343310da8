"""What every Source promises, as tests: a source is fit for the engine if its class here passes.

    class TestMine(SourceContract):
        @pytest.fixture
        def make(self, tmp_path: Path) -> Make:
            def make(difference: Difference) -> Source:
                psi, grid = sample(difference)
                ...
            return make

`make` gives a new source at each call, always of the same data: those of `sample()`, or others of
up to a few hundred points. Told a difference it gives a source that differs in that alone. What
is read from a file or calls a user's code has `CanFail` as a base too, and a file `CanBeGone`.
Everything is read as the engine does, in a worker thread of an event loop.
"""

from __future__ import annotations

import inspect
import json
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal

import anyio
import anyio.from_thread
import anyio.to_thread
import numpy as np
import pytest
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Axis, Box, Grid, Order, Shape4, shape4
from qwf_async.lattice.plan import BoxPlan
from qwf_async.source.base import (
    Source,
    check_unchanged,
    is_parallel,
    notes_of,
    remarks_of,
    understood_of,
    warnings_of,
)
from tests.conftest import PATIENCE

Difference = Literal["none", "values", "shape", "axes", "unreadable"]
"""In what a source differs from the plain one; "unreadable" is for `CanFail`: it cannot be opened, or read."""

Make = Callable[[Difference], Source | Awaitable[Source]]

DIFFERENCES: Final[Sequence[Difference]] = ("values", "shape", "axes")
ORDERS: Final[Sequence[Order]] = ("C", "F")
SHAPE: Final[Shape4] = (3, 4, 5, 6)
THREADS: Final = 8
"""That read at once, or in turn."""


def sample(difference: Difference = "none", shape: Shape4 = SHAPE) -> tuple[NDArray[np.complex128], Grid]:
    """ψ[t, x, y, z] without symmetry and its grid; another value, another shape, or another step on demand."""
    if difference == "shape":
        shape = shape4((*shape[:3], shape[3] + 1))
    rng = np.random.default_rng(7)
    psi = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    if difference == "values":
        psi[-1, -1, -1, -1] += 1
    step = 0.25 if difference == "axes" else 0.5
    space = Axis(origin=-1.0, step=step, unit="bohr")
    return psi, Grid(shape=shape, axes=(Axis(step=0.125, unit="hbar/Eh"), space, space, space))


class SourceContract:
    """The promise of `Source`. A subclass has the fixture `make`, see the module."""

    pytestmark = pytest.mark.anyio
    parallel: ClassVar[bool] = False
    """Whether several threads may read at once."""

    @pytest.fixture
    def switching_often(self) -> Iterator[None]:
        """Threads take turns so often that they meet in the midst of everything."""
        usual = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        yield
        sys.setswitchinterval(usual)

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"  # a source knows of no event loop, so one of them will do

    async def test_source_says_what_it_is(self, make: Make) -> None:
        async with opened(make) as source:
            assert isinstance(source, Source)
            assert source.spec.isprintable()
            assert source.spec
            assert source.order in ORDERS
            assert is_parallel(source) == self.parallel
            assert Grid.from_json(json.loads(json.dumps(source.grid.to_json()))) == source.grid

    async def test_whole_is_complex_of_the_shape_of_the_grid(self, make: Make) -> None:
        async with opened(make) as source:
            psi = await read(source, source.grid.whole)
            assert isinstance(psi, np.ndarray)
            assert psi.shape == source.grid.shape
            assert psi.dtype in (np.complex64, np.complex128)
            assert psi.dtype.isnative

    @pytest.mark.parametrize("order", ORDERS)
    async def test_pieces_equal_the_whole(self, make: Make, order: Order) -> None:
        async with opened(make) as source:
            psi = await read(source, source.grid.whole)
            for points in (1, 7, 30) if order == source.order else (30,):
                for chunk in BoxPlan.cut(source.grid.shape, order=order, points=points):
                    same(await read(source, chunk.box), psi[chunk.box.slices])

    async def test_boxes_from_anywhere_in_any_order_equal_the_whole(self, make: Make) -> None:
        rng = np.random.default_rng(11)
        async with opened(make) as source:
            boxes = []
            for _ in range(12):
                ends = np.sort([rng.choice(size + 1, 2, replace=False) for size in source.grid.shape])
                boxes.append(Box(start=shape4(ends[:, 0].tolist()), stop=shape4(ends[:, 1].tolist())))
            pieces = [await read(source, box) for box in boxes]
            psi = await read(source, source.grid.whole)
            for box, piece in zip(boxes, pieces, strict=True):
                same(piece, psi[box.slices])

    async def test_what_was_read_is_not_written_to_afterwards(self, make: Make) -> None:
        async with opened(make) as source:
            chunks = list(BoxPlan.cut(source.grid.shape, points=30))
            pieces = [await read(source, chunk.box) for chunk in chunks]
            kept = [piece.copy() for piece in pieces]
            for chunk in reversed(chunks):
                await read(source, chunk.box)
            for piece, copy in zip(pieces, kept, strict=True):
                same(piece, copy)

    async def test_one_call_at_a_time_may_come_from_any_thread(self, make: Make) -> None:
        async with opened(make) as source:
            psi = await read(source, source.grid.whole)
            threads = BusyThreads()
            async with anyio.create_task_group() as group:
                with closing(threads):
                    for chunk in BoxPlan.cut(source.grid.shape, points=90):
                        same(await threads.read(group, source, chunk.box), psi[chunk.box.slices])

    async def test_several_threads_read_the_same_in_any_order_at_once_or_in_turn_as_it_says(
        self, make: Make, switching_often: None
    ) -> None:
        rng = np.random.default_rng(13)
        async with opened(make) as source:
            psi = await read(source, source.grid.whole)
            boxes = [
                chunk.box for points in (7, 30) for chunk in BoxPlan.cut(source.grid.shape, points=points)
            ]
            together = threading.Barrier(THREADS)
            turn = nullcontext() if is_parallel(source) else threading.Lock()

            def read_some(mine: Sequence[int]) -> None:
                together.wait(PATIENCE)
                for number in mine:
                    with turn:
                        piece = source.read(boxes[number])
                    same(piece, psi[boxes[number].slices])

            async with anyio.create_task_group() as group:
                for mine in np.array_split(rng.permutation(len(boxes)), THREADS):
                    group.start_soon(anyio.to_thread.run_sync, read_some, mine.tolist())

    async def test_fingerprint_is_a_short_line_and_stays_the_same(self, make: Make) -> None:
        async with opened(make) as source:
            before = await fingerprint(source)
            assert before
            assert before.isprintable()
            await read(source, source.grid.whole)
            assert await fingerprint(source) == before
            async with opened(make) as twin:
                assert await fingerprint(twin) == before

    async def test_fingerprint_differs_where_the_data_differs(self, make: Make) -> None:
        async with opened(make) as source:
            for difference in DIFFERENCES:
                async with opened(make, difference) as other:
                    assert (source.grid == other.grid) == (difference == "values")
                    assert await fingerprint(other) != await fingerprint(source), difference

    async def test_reading_it_again_is_no_change(self, make: Make) -> None:
        async with opened(make) as source:
            await read(source, source.grid.whole)
            await anyio.to_thread.run_sync(check_unchanged, source)

    async def test_what_it_says_besides_fits_a_report(self, make: Make) -> None:
        async with opened(make) as source:
            warnings = await anyio.to_thread.run_sync(warnings_of, source)
            understood = dict(understood_of(source))
            await read(source, source.grid.whole)
            remarks = await anyio.to_thread.run_sync(remarks_of, source)
            assert all(isinstance(text, str) and text.isprintable() for text in [*warnings, *remarks])
            assert json.loads(json.dumps(understood)) == understood
            notes = dict(notes_of(source))
            assert json.loads(json.dumps(notes)) == notes

    async def test_closing_twice_is_fine_however_much_was_read(self, make: Make) -> None:
        for count in (0, 1, 100):
            async with opened(make) as source:
                for chunk in list(BoxPlan.cut(source.grid.shape, points=30))[:count]:
                    await read(source, chunk.box)
                source.close()


class CanFail(SourceContract):
    """Of a source that can turn out to be unreadable: `make("unreadable")`."""

    async def test_what_cannot_be_read_is_invalid_input(self, make: Make) -> None:
        with pytest.raises(InvalidInput) as caught:
            async with opened(make, "unreadable") as source:
                await read(source, source.grid.whole)
        assert str(caught.value).isprintable()


class CanBeGone(SourceContract):
    """Of a source that can vanish: the fixture `remove` is a function that takes away what plain sources read."""

    async def test_fingerprint_of_what_is_gone_is_invalid_input(
        self, make: Make, remove: Callable[[], object]
    ) -> None:
        async with opened(make) as source:
            remove()
            with pytest.raises(InvalidInput):
                await fingerprint(source)


@dataclass(frozen=True, slots=True)
class BusyThreads:
    """Worker threads that stay busy after a read until `close`, so that the next read is in another one."""

    _closed: anyio.Event = field(default_factory=anyio.Event)

    async def read(self, group: Any, source: Source, box: Box) -> NDArray[Any]:
        """ψ over the box, read in a thread in which nothing was read before."""
        pieces: list[NDArray[Any]] = []
        done = anyio.Event()

        def job() -> None:
            try:
                pieces.append(source.read(box))
            finally:
                anyio.from_thread.run_sync(done.set)
            anyio.from_thread.run(self._closed.wait)

        group.start_soon(anyio.to_thread.run_sync, job)
        await done.wait()
        return pieces[0]

    def close(self) -> None:
        """Let the threads go."""
        self._closed.set()


@asynccontextmanager
async def opened(make: Make, difference: Difference = "none") -> AsyncIterator[Source]:
    """A source, which is closed at the end."""
    made = make(difference)
    source = await made if inspect.isawaitable(made) else made
    with closing(source):
        yield source


async def read(source: Source, box: Box) -> NDArray[Any]:
    """ψ over a box, read in a worker thread."""
    return await anyio.to_thread.run_sync(source.read, box)


async def fingerprint(source: Source) -> str:
    """Its fingerprint, taken in a worker thread."""
    return await anyio.to_thread.run_sync(source.fingerprint)


def same(piece: NDArray[Any], expected: NDArray[Any]) -> None:
    """Of one shape and type, and the same bit for bit, NaN with NaN."""
    assert piece.dtype == expected.dtype
    np.testing.assert_array_equal(piece, expected, strict=True)
