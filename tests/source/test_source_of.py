"""`source_of`: whatever holds ψ becomes a source of the same values; what does not is refused with a clear word."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import qiskit.quantum_info
import qutip
import xarray

from qwf_async import sources
from qwf_async.errors import InvalidInput, UsageError
from qwf_async.lattice.grid import Axis, Box, Grid
from qwf_async.source import Source, source_of
from tests.support.loads import wave

PSI = wave(3, 4, 5, 6)
GRID = Grid.of((4, 5, 6), box=(8.0, 5.0, 3.0), frames=3, dt=0.5)


def all_of(source: Source) -> Any:
    with closing(source):
        return source.read(source.grid.whole)


def test_source_is_taken_as_it_is() -> None:
    source = sources.array(PSI, GRID)
    assert source_of(source) is source
    with pytest.raises(UsageError, match="grid, box cannot be given for a source: it has its own grid"):
        source_of(source, GRID, box=3)


def test_text_is_that_of_the_command_line_and_a_path_a_file(tmp_path: Path) -> None:
    for number in (0, 1):
        np.save(tmp_path / f"fr_{number}.npy", PSI[number])
    path = tmp_path / "fr_1.npy"
    for one in (str(path), path, [path]):
        source = source_of(one, box=2, dt=1.0)
        assert source.grid == Grid.of((4, 5, 6), box=(2,), dt=1.0)
        np.testing.assert_array_equal(all_of(source)[0], PSI[1])
    for several in (f"{tmp_path}/fr_*.npy", [tmp_path / "fr_0.npy", path]):
        np.testing.assert_array_equal(all_of(source_of(several)), PSI[:2])
    state = source_of("gaussian:k=2", Grid.of((16,)), box=[9.0], dt=0.1)
    assert state.grid == Grid.of((16,), box=(9.0,), dt=0.1)
    for one in (path, str(path)):
        with pytest.raises(UsageError, match=r"grid cannot be given for .*: .* has its own number of points"):
            source_of(one, GRID)
    with pytest.raises(InvalidInput, match="unknown source 'gausian'"):
        source_of("gausian")


@pytest.mark.parametrize("values", [PSI, PSI.tolist(), dask.array.from_array(PSI, chunks=(1, 2, 5, 6))])
def test_array_of_any_kind_is_read(values: Any) -> None:
    source = source_of(values, GRID)
    assert source.grid == GRID
    np.testing.assert_array_equal(all_of(source), PSI)


def test_array_of_dask_is_computed_once_and_a_block_at_a_time() -> None:
    computed: list[tuple[int, ...]] = []

    def block(values: Any, block_info: Any = None) -> Any:
        computed.append(block_info[0]["chunk-location"])
        return values * 2

    lazy = dask.array.from_array(PSI, chunks=(1, 4, 5, 6)).map_blocks(block, dtype=PSI.dtype, meta=PSI[:0])
    source = source_of(xarray.DataArray(lazy, dims=tuple("txyz")))
    assert source.fingerprint() == source_of(xarray.DataArray(lazy, dims=tuple("txyz"))).fingerprint()
    assert source.fingerprint() != source_of(xarray.DataArray(lazy + 1, dims=tuple("txyz"))).fingerprint()
    assert computed == []
    np.testing.assert_array_equal(
        [source.read(Box(start=(t, 0, 0, 0), stop=(t + 1, 4, 5, 6)))[0] for t in range(3)], 2 * PSI
    )
    source.close()
    assert sorted(computed) == [(0, 0, 0, 0), (1, 0, 0, 0), (2, 0, 0, 0)]


def test_dataset_of_xarray_gives_its_wavefunction_with_axes_and_units() -> None:
    along = {"t": 0.5 * np.arange(3), "z": 2.0 + np.arange(6)}
    re, im = (xarray.DataArray(part, dims=tuple("txyz"), coords=along) for part in (PSI.real, PSI.imag))
    re.t.attrs["units"], re.z.attrs["units"] = "fs", "angstrom"
    potential = xarray.DataArray(np.ones((4, 5)), dims=("x", "y"))
    for dataset in (
        xarray.Dataset({"psi": re + 1j * im}).assign_coords(re.coords),
        xarray.Dataset({"psi": (re + 1j * im).assign_coords(re.coords), "V": potential}),
        xarray.Dataset({"psi_re": re, "psi_im": im}),
    ):
        source = source_of(dataset)
        np.testing.assert_array_equal(all_of(source), PSI)
        assert source.grid.axes[0].step == pytest.approx(20.67068667)
        assert source.grid.axes[3].origin == pytest.approx(2 / 0.529177210903)
    with pytest.raises(
        InvalidInput, match=r"no variable that must be ψ, but a, b: choose one, as in dataset\["
    ):
        source_of(xarray.Dataset({"a": re, "b": im}))


def test_kets_of_a_solver_are_frames_and_its_times_the_axis() -> None:
    number = qutip.tensor(qutip.num(3), qutip.qeye(4))
    result = qutip.sesolve(
        number, qutip.tensor(qutip.basis(3, 1), qutip.basis(4, 2)), 1 + np.linspace(0, 1, 6)
    )
    expected = np.stack([state.full().reshape(3, 4, 1) for state in result.states])
    source = source_of(result)
    assert source.grid.shape == (6, 3, 4, 1)
    assert source.grid.axes[0].origin == 1
    assert source.grid.axes[0].step == pytest.approx(0.2)
    assert source.grid.axes[1].step is None
    assert source.spec == "the Result of a solver of QuTiP, 6 of 3×4 amplitudes"
    np.testing.assert_array_equal(all_of(source), expected)
    grid = Grid.of((3, 4), box=(3.0, 2.0))
    for laid in (source_of(result, grid), source_of(result, box=[3.0, 2.0])):
        np.testing.assert_allclose(all_of(laid), expected / np.sqrt(0.5))
        assert laid.grid.axes[0].step == pytest.approx(0.2)
    listed = source_of(result.states, dt=0.25)
    assert listed.grid.axes[0] == Axis(step=0.25, unit="hbar/Eh")
    np.testing.assert_array_equal(all_of(listed), expected)


@pytest.mark.parametrize(
    ("state", "shape"),
    [
        (qutip.rand_ket(7), (7, 1, 1)),
        (qutip.tensor(qutip.rand_ket(3), qutip.rand_ket(4), qutip.rand_ket(2)), (3, 4, 2)),
        (qutip.tensor([qutip.rand_ket(2)] * 4), (16, 1, 1)),
        (qutip.enr_fock([3, 3], 2, [0, 1]), (6, 1, 1)),
        (qiskit.quantum_info.random_statevector((4, 3, 2), seed=1), (2, 3, 4)),
        (qiskit.quantum_info.random_statevector(8, seed=1), (8, 1, 1)),
    ],
)
def test_single_state_is_one_frame_of_its_amplitudes(state: Any, shape: tuple[int, ...]) -> None:
    source = source_of(state)
    amplitudes = state.full() if isinstance(state, qutip.Qobj) else state.data
    np.testing.assert_array_equal(all_of(source), amplitudes.reshape(1, *shape))
    assert source.fingerprint() == source_of(state).fingerprint()


def test_state_on_a_grid_is_what_it_is_as_a_source_of_its_own() -> None:
    grid = Grid.of((2, 4), box=(1.0, 2.0))
    state = qiskit.quantum_info.random_statevector(8, seed=1)
    np.testing.assert_array_equal(all_of(source_of(state, grid)), all_of(sources.statevector(state, grid)))
    ket = qutip.Qobj(state.data)
    np.testing.assert_array_equal(all_of(source_of(ket, grid)), all_of(sources.qobj(ket, grid)))
    with pytest.raises(InvalidInput, match="the state has 8 amplitudes, and a frame of the grid 9 points"):
        source_of(state, Grid.of((3, 3), box=(1.0,)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (qutip.num(3), "kets of QuTiP: a wavefunction is a ket, and state 0 is of type oper"),
        (qutip.mesolve(qutip.num(3), qutip.basis(3), [0, 1], [qutip.destroy(3)]), "state 0 is of type oper"),
        (
            qutip.sesolve(qutip.num(3), qutip.basis(3), [0, 1], e_ops=[qutip.num(3)]),
            "the Result of a solver of QuTiP has no states: solve with options={'store_states': True}",
        ),
        (
            qutip.sesolve(qutip.num(3), qutip.basis(3), [0, 1, 3]),
            "the list of times of the Result .* not evenly",
        ),
        ([qutip.basis(3), qutip.basis(4)], "state 1 has the dims"),
        (qiskit.quantum_info.DensityMatrix(np.eye(2) / 2), "a DensityMatrix of qiskit is no ket"),
        (
            object(),
            "what is of type object is no wavefunction: it is a path or the text of a SOURCE, an array",
        ),
        (None, "what is of type NoneType is no wavefunction"),
        ({"psi": PSI}, "choose one, it has psi"),
        (np.ones((2,) * 5), "the array"),
        (np.zeros(0), "is empty"),
        (np.array(["a"]), "<U1"),
    ],
)
def test_what_is_no_wavefunction_is_refused_in_words(wrong: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        source_of(wrong)
