"""`ingest` and `estimate` take whatever `source_of` does, and close what they opened."""

from __future__ import annotations

from pathlib import Path

import dask.array
import numpy as np
import pytest
import qutip
import xarray

import qwf_async
from qwf_async.errors import InvalidInput, UsageError
from qwf_async.lattice.grid import Grid
from tests.conftest import Server
from tests.support.loads import check_points, contents, ingested, wave

pytestmark = pytest.mark.anyio

PSI = wave(1, 6, 5, 4)


async def test_array_file_and_text_are_ingested(server: Server, tmp_path: Path) -> None:
    np.save(tmp_path / "psi.npy", PSI)
    lazy = xarray.DataArray(dask.array.from_array(PSI[0], chunks=(3, 5, 4)), dims=("x", "y", "z"))
    for x in (PSI, lazy, tmp_path / "psi.npy", str(tmp_path / "psi.npy")):
        report = await ingested(server, x, box=(6.0, 5.0, 4.0), overwrite=True)  # type: ignore[arg-type]
        assert report.norm == pytest.approx(np.vdot(PSI, PSI).real)
        check_points(server, PSI)
    report = await ingested(server, "hydrogen:n=1", grid=Grid.cube(8), overwrite=True)  # type: ignore[arg-type]
    assert (report.shape, len(report.warnings)) == ((1, 8, 8, 8), 1)


async def test_result_of_a_solver_is_ingested_and_estimated(server: Server) -> None:
    result = qutip.sesolve(qutip.num(9), qutip.basis(9, 1), np.linspace(0, 1, 5))
    async with qwf_async.connect(server.url) as store:
        estimates = await qwf_async.estimate(result, store, box=9.0)
        assert {one.layout for one in estimates} == {"flat", "packed", "tile"}
        report = await qwf_async.ingest(result, store, "psi", box=9.0)
    assert report.norm == pytest.approx(1)
    check_points(server, np.stack([state.full()[..., None] for state in result.states]))


async def test_what_cannot_be_a_wavefunction_leaves_nothing(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        with pytest.raises(InvalidInput, match="what is of type object is no wavefunction: it is a path"):
            await qwf_async.ingest(object(), store, "psi")
        with pytest.raises(InvalidInput, match="state 0 is of type oper"):
            await qwf_async.estimate(qutip.num(3), store)
        with pytest.raises(UsageError, match="box cannot be given for a source"):
            await qwf_async.ingest(qwf_async.sources.array(PSI), store, "psi", box=3)
    assert contents(server) == {}
