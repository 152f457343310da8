"""Sources with bad data, sources that break their promise, and requests that make no sense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import qwf_async
from qwf_async import sources
from qwf_async.errors import InvalidInput, QwfError, UsageError
from qwf_async.lattice.grid import Box, Grid, Order
from qwf_async.source import Source
from tests.conftest import Server
from tests.support.loads import ask, check_points, contents, ingested, refusal, wave

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks", "time_to_settle")]


def with_value(value: complex) -> Source:
    """Good but for one point, in the last chunk."""
    psi = wave(6, 10, 10, 10)
    psi[5, 7, 8, 9] = value
    return sources.array(psi)


class Odd:
    """A source that breaks its promise once it is read at t ≥ 4."""

    spec = "odd"
    order: Order = "C"
    grid = Grid(shape=(6, 10, 10, 10))

    def __init__(self, spoil: Callable[[NDArray[Any]], Any]) -> None:
        self.spoil = spoil

    def read(self, box: Box) -> Any:
        good = np.ones(box.shape, complex)
        return self.spoil(good) if box.start[0] >= 4 else good

    def fingerprint(self) -> str:
        return "odd"

    def close(self) -> None:
        pass


def divide(psi: NDArray[Any]) -> Any:
    raise ZeroDivisionError("by nothing\nat all")


def refuse(psi: NDArray[Any]) -> Any:
    raise InvalidInput("the file is truncated")


def one_that_is_huge(psi: NDArray[Any]) -> Any:
    psi[0, 0, 0, 0] = 1.2e154  # its square is a float64 yet
    return psi


def two_that_are_huge(psi: NDArray[Any]) -> Any:
    psi[0, 0, 0, 0] = psi[0, 9, 9, 9] = 1.2e154
    return psi


BAD: dict[str, tuple[Source, dict[str, Any], str]] = {
    "NaN": (with_value(complex(np.nan, 0)), {}, "t = 5, x = 7, y = 8, z = 9"),
    "infinity": (with_value(complex(0, -np.inf)), {}, "t = 5, x = 7, y = 8, z = 9"),
    "norm": (with_value(1e200), {}, "too large for a float64"),
    "norms of two chunks": (Odd(one_that_is_huge), {}, "the norm of psi is too large for a float64"),
    "norms of two planes": (Odd(two_that_are_huge), {}, "too large for a float64"),
    "complex64": (with_value(1e39), {"codec": "c8"}, "too large for complex64"),
    "real": (Odd(lambda psi: psi.real), {}, "float64"),
    "flat": (Odd(lambda psi: psi.reshape(-1)), {}, "shape (1000,)"),
    "less": (Odd(lambda psi: psi[:, 1:]), {}, "shape (1, 9, 10, 10)"),
    "fails": (Odd(divide), {}, "odd cannot be read: ZeroDivisionError: by nothing"),
    "refuses": (Odd(refuse), {}, "the file is truncated"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_bad_data_is_named_and_leaves_nothing_behind(each_server: Server, kind: str) -> None:
    ask(each_server, "SET", "another's", "value")
    async with qwf_async.connect(each_server.url) as store:
        await qwf_async.ingest(sources.array(wave(1, 5, 5, 5)), store, "other")
    before = contents(each_server)
    source, options, message = BAD[kind]
    error = await refusal(source, each_server, **options)
    assert isinstance(error, InvalidInput)
    assert message in str(error)
    assert contents(each_server) == before


async def test_bad_data_leaves_what_it_was_to_replace(server: Server) -> None:
    await ingested(server, sources.array(wave(2, 5, 5, 5)))
    before = contents(server)
    assert isinstance(await refusal(with_value(np.nan), server, overwrite=True), InvalidInput)
    assert contents(server) == before


async def test_what_is_not_finite_is_stored_as_it_is_if_allowed(server: Server) -> None:
    psi = wave(6, 10, 10, 10)
    psi[0, 0, 0, 0], psi[5, 9, 9, 9] = complex(np.nan, np.inf), complex(-np.inf, -0.0)
    report = await ingested(
        server, sources.array(psi, Grid.cube(10, box=5.0, frames=6)), allow_nonfinite=True
    )
    check_points(server, psi)
    assert report.norm is not None
    assert not np.isfinite(report.norm)


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        ("a b", {}, InvalidInput),
        ("", {}, InvalidInput),
        ("psi", {"codec": "c32"}, UsageError),
        ("psi", {"layout": "heap"}, UsageError),
        ("psi", {"resume": True, "discard": True}, UsageError),
    ],
)
async def test_a_request_that_makes_no_sense_writes_nothing(
    server: Server, name: str, options: dict[str, Any], kind: type[QwfError]
) -> None:
    async with qwf_async.connect(server.url) as store:
        with pytest.raises(kind):
            await qwf_async.ingest(sources.array(wave(1, 5, 5, 5)), store, name, **options)
    assert contents(server) == {}
