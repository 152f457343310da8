"""What is computed of a stored wavefunction, by the synchronous face."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import numpy as np
import pytest

import qwf_async as qwf
from qwf_async.producing.background import close_background
from tests.conftest import Server

PACKET = qwf.sources.gaussian(k=2, sigma=1, grid=qwf.Grid.of((128,), box=(40,), frames=8, dt=0.25))


@pytest.fixture
def psi(server: Server) -> Iterator[qwf.sync.Wavefunction]:
    with qwf.open(server.url) as store:
        store.ingest(PACKET, "packet")
        yield store["packet"]


def test_observables_come_as_lists_of_frames(psi: qwf.sync.Wavefunction) -> None:
    rows = psi.observe(other="packet")
    assert [row.frame for row in rows] == list(range(8))
    assert [row.position[0] for row in rows] == pytest.approx(np.arange(8) / 2, abs=1e-9)
    assert rows[2].fidelity == pytest.approx(1)
    assert psi.observe(frames=[3], sums_only=True)[0].momentum is None
    assert psi.passing(at={"x": 0.0}, frames=[0])[0].left == pytest.approx(0.5)
    assert psi.momentum_density(1).sum() > 0
    (rho,) = psi.marginals(2)
    np.testing.assert_allclose(rho, np.abs(psi[2, :, 0, 0]) ** 2)
    assert len(psi.spectrum().energies) > 0


def test_it_becomes_an_array_of_xarray_now_or_by_dask(psi: qwf.sync.Wavefunction) -> None:
    try:
        for array in (psi.to_xarray(), psi.to_xarray(chunks={})):
            np.testing.assert_array_equal(array.values, psi[...])
            assert array.sel(t=0.25).shape == psi.shape[1:]
    finally:
        close_background()


def test_what_is_measured_is_the_generation_that_was_opened(psi: qwf.sync.Wavefunction) -> None:
    psi._store._loop.run(psi._store._behind.remove, "packet")
    with pytest.raises(qwf.Refused, match="replaced or removed"):
        psi.observe()
    with pytest.raises(qwf.InvalidInput):
        psi.observe(frames=[8])


def test_signatures_are_those_of_the_asynchronous_functions(psi: qwf.sync.Wavefunction) -> None:
    for method, function, known in (
        (psi.observe, qwf.observe, {"store", "name"}),
        (psi.export, qwf.export, {"psi"}),
        (psi.update, qwf.Wavefunction.update, {"self"}),
        (qwf.sync.Store.create, qwf.create, {"store"}),
        (qwf.sync.Store.ingest, qwf.ingest, {"store"}),
    ):
        parameters = dict(inspect.signature(function).parameters)
        ours = {name: one for name, one in inspect.signature(method).parameters.items() if name != "self"}
        assert ours == {name: one for name, one in parameters.items() if name not in known}
        assert method.__doc__ == function.__doc__
