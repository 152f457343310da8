"""A stored wavefunction in a script: read, changed and converted as an array is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import qwf_async as qwf
from qwf_async.errors import UnusableIndex
from tests.conftest import Server

VALUES = (np.arange(3 * 4 * 5 * 6) * (1 + 0.5j)).reshape(3, 4, 5, 6)
SOURCE = qwf.sources.array(VALUES, dt=0.5)


@pytest.fixture(params=["flat", "packed", "tile"])
def psi(request: pytest.FixtureRequest, server: Server) -> Iterator[qwf.sync.Wavefunction]:
    with qwf.open(server.url) as store:
        store.ingest(SOURCE, "psi", layout=request.param)
        yield store["psi"]


def test_it_is_read_and_converted_as_an_array_is(psi: qwf.sync.Wavefunction) -> None:
    assert (psi.shape, psi.ndim, psi.size, len(psi)) == (VALUES.shape, VALUES.ndim, VALUES.size, len(VALUES))
    assert psi.dtype == VALUES.dtype
    for index in (
        0,
        -1,
        (0, 1),
        (2, slice(1, 3)),
        (..., 5),
        (0, slice(None), slice(None, None, -2), -1),
        ...,
    ):
        np.testing.assert_array_equal(psi[index], VALUES[index])
    point = psi[1, 2, -1, 4]
    assert type(point) is np.complex128
    assert point == VALUES[1, 2, -1, 4] == psi.point(2, 4, 4, 1)
    np.testing.assert_array_equal(np.asarray(psi), VALUES)
    np.testing.assert_array_equal(np.abs(psi), np.abs(VALUES))
    np.testing.assert_array_equal(list(psi), list(VALUES))
    assert np.asarray(psi, dtype=np.complex64).dtype == np.complex64
    assert np.array(psi, copy=True).shape == VALUES.shape
    with pytest.raises(ValueError, match="on a server: reading them makes a copy"):
        np.asarray(psi, copy=False)
    points = [[3, 4, 5, 2], [0, 0, 0, 0], [3, 4, 5, 2]]
    np.testing.assert_array_equal(psi.read_points(points), VALUES[[2, 0, 2], [3, 0, 3], [4, 0, 4], [5, 0, 5]])


def test_an_index_that_cannot_be_used_is_an_index_error_too(psi: qwf.sync.Wavefunction) -> None:
    for index in (3, (0, 0, 0, -7), (0, 0, 0, 0, 0), 1.5, [1, 2], None):
        with pytest.raises(UnusableIndex) as raised:
            psi[index]
        assert isinstance(raised.value, IndexError)
        assert isinstance(raised.value, qwf.InvalidInput)
        assert "'" not in str(raised.value)[:1]
        with pytest.raises(IndexError):
            psi[index] = 0


def test_points_and_regions_are_assigned_as_to_an_array(psi: qwf.sync.Wavefunction) -> None:
    expected = VALUES.copy()
    for index, value in (
        ((1, 2, 3, -1), 1j),
        ((0, slice(1, 3)), 0),
        ((slice(None), 0, 0), np.arange(6)),
        ((2, ..., 3), np.ones((1, 1, 4, 5))),
    ):
        psi[index] = value
        expected[index] = value
    psi.update(0, 0, 0, value=-1)
    expected[0, 0, 0, 0] = -1
    np.testing.assert_array_equal(psi[...], expected)
    for bad in (np.ones(3), [[1], [1, 2]], "one", np.nan, np.ma.masked_equal([0, 1, 2, 3, 4, 5], 3)):
        with pytest.raises(qwf.InvalidInput):
            psi[0, 0, 0] = bad
    np.testing.assert_array_equal(psi[...], expected)


def test_frames_come_with_their_times(psi: qwf.sync.Wavefunction) -> None:
    assert [time for time, _ in psi.frames()] == [0.0, 0.5, 1.0]
    for (_, frame), values in zip(psi.frames(), VALUES, strict=True):
        np.testing.assert_array_equal(frame, values)


def test_it_shows_itself_and_says_where_it_is(psi: qwf.sync.Wavefunction, server: Server) -> None:
    assert "layout" in repr(psi)
    assert "<table" in psi._repr_html_()
    assert psi.info()["points"] == psi.size
    place = psi.where(1, 2, 3, 2)
    with server.plain as client:
        value = client.hget(place.key, place.field)
    assert VALUES[2, 1, 2, 3].tobytes() in value
