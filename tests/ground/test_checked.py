"""Arguments from Python are checked as the options of the command line are: at the call, saying what is accepted."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from msgspec import Meta

import qwf_async
from qwf_async import Axis, Grid, observables, sources
from qwf_async.checked import checked
from qwf_async.errors import InvalidInput, QwfError, UsageError
from qwf_async.source.analytic.formula import Analytic
from tests.conftest import Server

LINE = Grid.of((16,), box=(4,))
STATE = sources.gaussian(grid=LINE)


@checked
def sample(
    whole: int = 1,
    number: float = 1.0,
    share: Annotated[float, Meta(ge=0, lt=1)] | None = None,
    word: Literal["left", "right"] = "left",
    switch: bool = False,
    several: Sequence[int] = (),
    weights: Mapping[str, complex] | None = None,
    pair: tuple[int, int] = (0, 0),
    grid: Grid | None = None,
    anything: Any = None,
) -> int:
    """A function of every kind of argument."""
    return whole


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"whole": 1.5}, "sample: whole must be a whole number, not 1.5"),
        ({"whole": True}, "whole must be a whole number, not True"),
        ({"whole": "1"}, "whole must be a whole number, not '1'"),
        ({"number": None}, "number must be a number, not None"),
        ({"share": 1}, "share must be a number, at least 0, below 1 or None, not 1"),
        ({"share": -0.5}, "share must be a number, at least 0"),
        ({"share": math.nan}, "share must be a number, at least 0"),
        ({"word": "up"}, "word must be 'left' or 'right', not 'up'"),
        ({"switch": 1}, "switch must be True or False, not 1"),
        ({"several": 5}, "several must be several, each a whole number, not 5"),
        ({"several": "12"}, "several must be several"),
        ({"several": np.array([0.5])}, "several must be .*, not what is of type ndarray"),
        ({"weights": {"a": "b"}}, "weights must be several, each a complex number or None"),
        ({"pair": (1,)}, "pair must be 2 of a whole number"),
        ({"grid": 64}, "grid must be a Grid or None, not 64"),
        ({"whole": "x" * 10**6}, r"whole must be a whole number, not 'x{200}'…$"),
        ({"whole": "\x1b[2J"}, r"not '\\x1b\[2J'$"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_can(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        sample(**arguments)


def test_what_can_be_used_is_let_through() -> None:
    taken: Any = sample
    several = [1, np.int8(2)]
    assert taken(np.int64(3), 2, np.float32(0.5), "right", True, several, {"a": 1j}, [1, 2], LINE, {}) == 3
    assert taken(number=np.float64(2), several=np.arange(3), share=None) == 1


MAKERS: list[Callable[[], object]] = [
    lambda: sources.gaussian(k="2"),  # type: ignore[arg-type]
    lambda: sources.gaussian(grid=64),  # type: ignore[arg-type]
    lambda: sources.hydrogen(1.5),  # type: ignore[arg-type]
    lambda: sources.hydrogen(Z=None),  # type: ignore[arg-type]
    lambda: sources.harmonic({1.5: 1}),
    lambda: sources.box((1, "a")),  # type: ignore[arg-type]
    lambda: sources.plane(k=(1, 0.5)),  # type: ignore[arg-type]
    lambda: sources.coherent(alpha="1"),  # type: ignore[arg-type]
    lambda: sources.npy(5),  # type: ignore[arg-type]
    lambda: sources.hdf5("psi.h5", box="20"),  # type: ignore[arg-type]
    lambda: sources.raw("psi.raw", shape=5),  # type: ignore[arg-type]
    lambda: sources.array(np.ones((3, 3)), 5),  # type: ignore[arg-type]
    lambda: sources.function(5, grid=LINE),  # type: ignore[arg-type]
    lambda: sources.evolve("packet"),
    lambda: sources.evolve(STATE, 5),  # type: ignore[arg-type]
    lambda: sources.evolve(STATE, steps=1.5),  # type: ignore[arg-type]
    lambda: sources.eigen(64),  # type: ignore[arg-type]
    lambda: sources.eigen(LINE, 5),  # type: ignore[arg-type]
    lambda: sources.eigen(LINE, n=1.5),  # type: ignore[arg-type]
    lambda: sources.statevector(5, LINE),
    lambda: sources.qobj(5, LINE),
    lambda: sources.open_source(5),  # type: ignore[arg-type]
    lambda: Grid.cube(4.5),  # type: ignore[arg-type]
    lambda: Grid.of(5),  # type: ignore[arg-type]
    lambda: Grid.of((4,), box=("a",)),  # type: ignore[arg-type]
    lambda: Grid(shape=(1, 2, 3, 4.5)),  # type: ignore[arg-type]
    lambda: Grid(shape=5),  # type: ignore[arg-type]
    lambda: LINE.with_time_step("1"),  # type: ignore[arg-type]
    lambda: Axis(origin="0"),  # type: ignore[arg-type]
    lambda: Axis(unit=5),  # type: ignore[arg-type]
    lambda: observables.norm("psi", LINE),  # type: ignore[arg-type]
    lambda: observables.norm(np.ones((1, 16, 1, 1)), 5),  # type: ignore[arg-type]
    lambda: observables.of_value("psi"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("number", range(len(MAKERS)))
def test_every_function_that_makes_or_measures_checks_its_arguments(number: int) -> None:
    with pytest.raises(InvalidInput):
        MAKERS[number]()


def test_numbers_of_numpy_are_taken_as_what_they_stand_for() -> None:
    grid = Grid.of(np.array([4, 4]), box=(np.float32(2), 2))  # type: ignore[arg-type]
    assert grid == Grid.of((4, 4), box=(2, 2))
    assert all(type(size) is int for size in grid.shape)
    assert all(type(axis.origin) is float for axis in grid.axes)


@pytest.mark.anyio
async def test_a_store_checks_what_it_is_asked(server: Server) -> None:
    class Unread(Analytic):
        """A state whose fingerprint is not to be asked for."""

        spec = "unread"

        def read(self, box: object) -> Any:
            raise AssertionError

        def fingerprint(self) -> str:
            raise AssertionError

    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(STATE, store, "psi")
        psi, unread = await store.open("psi"), Unread(grid=LINE)
        before = server.contents()

        async def ingest(**options: Any) -> object:
            return await qwf_async.ingest(unread, store, "psi", **options)

        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: ingest(writers=-1),
            lambda: ingest(writers=0),
            lambda: ingest(writers=65),
            lambda: ingest(producers=0),
            lambda: ingest(producers=65),
            lambda: ingest(max_rate=0),
            lambda: ingest(max_rate=-1.0),
            lambda: ingest(max_rate=math.nan),
            lambda: ingest(resume=True, discard=True),
            lambda: ingest(resume="yes"),
            lambda: ingest(layout=None),
            lambda: ingest(tile=8),
            lambda: ingest(hooks=(5,)),
            lambda: qwf_async.ingest("psi.npy", store, "psi"),
            lambda: qwf_async.ingest(STATE, server.url, "psi"),  # type: ignore[arg-type]
            lambda: qwf_async.ingest(STATE, store, None),  # type: ignore[arg-type]
            lambda: store.open(5),  # type: ignore[arg-type]
            lambda: store.remove(5),  # type: ignore[arg-type]
            lambda: psi.point(1.5),  # type: ignore[arg-type]
            lambda: psi.point("1"),  # type: ignore[arg-type]
            lambda: psi.update("1", value=1),  # type: ignore[arg-type]
            lambda: psi.read_points([[0.5, 0, 0, 0]]),
            lambda: qwf_async.verify(store, "psi", "psi.npy"),  # type: ignore[arg-type]
            lambda: qwf_async.estimate("psi.npy", store),
            lambda: qwf_async.marginals(store, "psi", 0.5),  # type: ignore[arg-type]
            lambda: qwf_async.export("psi", "psi.npy"),  # type: ignore[arg-type]
            lambda: qwf_async.export(psi, "psi.npy", frame="0"),  # type: ignore[arg-type]
            lambda: qwf_async.open_old_hash(store, 5),  # type: ignore[arg-type]
        ]
        for number, call in enumerate(calls):
            with pytest.raises(UsageError if number == 8 else InvalidInput):
                await call()
        with pytest.raises(InvalidInput):
            qwf_async.connect(5)  # type: ignore[arg-type]
        assert server.contents() == before


@pytest.mark.anyio
async def test_a_closed_store_says_so(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(STATE, store, "psi")
        psi = await store.open("psi")
    calls: list[Callable[[], Awaitable[object]]] = [
        store.entries,
        store.clean,
        psi.info,
        lambda: store.open("psi"),
        lambda: psi.point(0),
        lambda: psi.read[0],
        lambda: psi.update(0, value=1),
        lambda: qwf_async.ingest(STATE, store, "other"),
        lambda: qwf_async.verify(store, "psi"),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="the store is closed"):
            await call()


@pytest.mark.anyio
async def test_an_array_of_what_is_on_a_server_is_refused_with_what_to_write(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(STATE, store, "psi")
        psi = await store.open("psi")
        for make in (np.asarray, np.array, np.abs):
            with pytest.raises(QwfError, match=r"write `await psi\.read\[\.\.\.\]`"):
                make(psi)
        np.testing.assert_array_equal(await psi.read[...], STATE.read(LINE.whole))
