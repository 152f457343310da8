"""Wavefunctions as states of Qiskit and QuTiP; those libraries themselves tell the place of each amplitude."""

from __future__ import annotations

import numpy as np
import pytest
import qiskit
import qiskit.quantum_info
import qutip
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from qiskit.circuit.library import QFTGate

import qwf_async as qwf
from qwf_async import observables, states
from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Grid
from tests.conftest import Server

BOX = (6.0, 5.0, 4.0)


def random_psi(grid: Grid, seed: int = 5) -> NDArray[np.complex128]:
    """A normalised frame [x, y, z] without symmetry."""
    rng = np.random.default_rng(seed)
    psi = rng.standard_normal(grid.shape[1:]) + 1j * rng.standard_normal(grid.shape[1:])
    normed: NDArray[np.complex128] = psi / np.sqrt(observables.norm(psi[None], grid)[0])
    return normed


SHAPES = st.lists(st.integers(1, 9), min_size=1, max_size=3).filter(lambda sizes: max(sizes) > 1)


@given(sizes=SHAPES, seed=st.integers(0, 2**32 - 1))
def test_there_and_back_keeps_every_value(sizes: list[int], seed: int) -> None:
    grid = Grid.of(sizes, box=BOX[: len(sizes)])
    psi = random_psi(grid, seed)
    for back in (
        states.from_statevector(states.to_statevector(psi, grid), grid),
        states.from_qobj(states.to_qobj(psi, grid), grid),
    ):
        np.testing.assert_allclose(back, psi, rtol=4e-16)
        assert back.shape == grid.shape[1:]
        assert back.dtype == np.complex128


def test_qubits_hold_the_axes_with_z_lowest() -> None:
    grid = Grid.of((2, 4, 8), box=BOX)
    psi = random_psi(grid)
    state = states.to_statevector(psi, grid)
    assert state.is_valid()
    assert state.num_qubits == 6
    qubits = states.qubits(grid)
    assert qubits == {"x": range(5, 6), "y": range(3, 5), "z": range(3)}
    for axis, name in enumerate("xyz", start=1):
        expected = observables.marginal(psi[None], grid, axis)[0] * grid.axes[axis].step
        np.testing.assert_allclose(state.probabilities(list(qubits[name])), expected, atol=1e-14)
    assert state.probabilities_dict()["101110"] == pytest.approx(abs(psi[1, 1, 6]) ** 2 * grid.cell_volume)


def test_a_quantum_fourier_transform_along_an_axis_is_the_one_of_numpy() -> None:
    grid = Grid.of((4, 8, 2), box=BOX)
    psi = random_psi(grid)
    circuit = qiskit.QuantumCircuit(6)
    circuit.append(QFTGate(3), list(states.qubits(grid)["y"]))
    turned = states.from_statevector(states.to_statevector(psi, grid).evolve(circuit), grid)
    np.testing.assert_allclose(turned, np.fft.ifft(psi, axis=1, norm="ortho"), atol=1e-14)


def test_sizes_that_are_no_powers_of_two_become_subsystems_last_axis_first() -> None:
    grid = Grid.of((3, 4, 5), box=BOX)
    psi = random_psi(grid)
    state = states.to_statevector(psi, grid)
    assert state.num_qubits is None
    assert state.dims() == (5, 4, 3)
    rho = qiskit.quantum_info.partial_trace(state, [0, 1]).data
    expected = np.einsum("xyz,wyz->xw", psi, psi.conj()) * grid.cell_volume
    np.testing.assert_allclose(rho, expected, atol=1e-14)
    with pytest.raises(InvalidInput, match=r"\(3, 4, 5\) points has no qubits"):
        states.qubits(grid)


def test_qutip_has_the_axes_as_subsystems_in_order() -> None:
    grid = Grid.of((3, 4, 5), box=BOX)
    psi = random_psi(grid)
    ket = states.to_qobj(psi, grid)
    assert ket.isket
    assert ket.dims == qutip.tensor(qutip.basis(3), qutip.basis(4), qutip.basis(5)).dims
    assert ket.norm() == pytest.approx(1)
    y = qutip.qdiags(grid.coordinates(2, 0, 4), 0)
    mean = qutip.expect(qutip.tensor(qutip.qeye(3), y, qutip.qeye(5)), ket)
    assert mean == pytest.approx(observables.position(psi[None], grid)[0, 1])
    np.testing.assert_allclose(
        ket.ptrace(2).full(), np.einsum("xyz,xyw->zw", psi, psi.conj()) * grid.cell_volume, atol=1e-14
    )
    with pytest.raises(InvalidInput, match="is a ket; this Qobj is of type bra"):
        states.from_qobj(ket.dag(), grid)


def test_a_state_shares_no_memory_with_the_wavefunction() -> None:
    grid = Grid.of((8,), box=(8.0,))  # dV = 1: nothing would have to be changed
    psi = random_psi(grid)
    before = psi.copy()
    states.to_statevector(psi, grid).data[:] = 0
    np.testing.assert_array_equal(psi, before)
    state = qiskit.quantum_info.Statevector(psi.reshape(-1).copy())
    states.from_statevector(state, grid)[:] = 0
    qwf.sources.statevector(state, grid).psi[:] = 0
    np.testing.assert_array_equal(state.data, before.reshape(-1))


@pytest.mark.anyio
async def test_a_state_is_stored_and_read_back(server: Server) -> None:
    grid = Grid.of((4, 4), box=(2.0, 2.0))
    bell = qiskit.QuantumCircuit(4)
    bell.h(0)
    bell.cx(0, 2)  # the lowest bits of y and of x
    state = qiskit.quantum_info.Statevector(bell)
    async with qwf.connect(server.url) as store:
        await qwf.ingest(qwf.sources.statevector(state, grid), store, "bell")
        await qwf.ingest(qwf.sources.qobj(qutip.basis([4, 4], [3, 1]), grid), store, "ket")
        psi = await store.open("bell")
        assert psi.manifest.norm == pytest.approx(1)
        assert abs(await psi.point(1, 1)) ** 2 * 0.25 == pytest.approx(0.5)
        back = states.to_statevector(await psi.read[0], psi.manifest.grid)
        assert back == state
        ket = await store.open("ket")
        assert await ket.point(3, 1) == pytest.approx(2)  # 1/√dV


def test_unfit_states_and_grids_are_refused_with_the_cure() -> None:
    bare, laid = Grid.of((4, 2)), Grid.of((4, 2), box=(1.0, 1.0))
    zero = qiskit.quantum_info.Statevector.from_int(0, 4)
    with pytest.raises(InvalidInput, match="the spacing along x, y is not known"):
        states.to_statevector(np.ones((4, 2)), bare)
    with pytest.raises(InvalidInput, match="has 4 amplitudes, and a frame of the grid 8 points"):
        qwf.sources.statevector(zero, laid)
    with pytest.raises(InvalidInput, match=r"one frame of this grid is \(4, 2, 1\)"):
        states.to_qobj(np.ones((2, 4)), laid)
