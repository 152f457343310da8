"""Pictures of stored wavefunctions: the view that is planned, and the points that are read for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qwf_async as qwf
from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Grid
from qwf_async.layout import LAYOUTS
from qwf_async.plotting import draw, plan_view, read_expectations, read_picture
from qwf_async.plotting.view_plan import MAX_LINE_POINTS, MAX_SHOWN_FRAMES, MAX_SIDE_POINTS
from tests.conftest import Server
from tests.support.loads import ask, wave

SIZES = st.tuples(*[st.integers(1, 2000)] * 3)


@given(sizes=SIZES, frames=st.integers(1, 3000), fixed=st.sets(st.integers(1, 3)), data=st.data())
def test_a_view_is_a_plane_or_a_line_of_no_more_points_than_pixels(
    sizes: tuple[int, int, int], frames: int, fixed: set[int], data: st.DataObject
) -> None:
    grid = Grid(shape=(frames, *sizes))
    cuts = {a: data.draw(st.integers(-sizes[a - 1], sizes[a - 1] - 1)) for a in fixed if a <= grid.dimensions}
    free = [a for a in (1, 2, 3) if sizes[a - 1] > 1 and a not in cuts]
    if not free and cuts:
        with pytest.raises(InvalidInput, match="nothing is left to draw"):
            plan_view(grid, frames=range(frames), fixed=cuts)
        return
    view = plan_view(grid, frames=range(frames), fixed=cuts)
    assert view.axes == tuple(free[:2] or [1])
    shape = view.selection.shape
    assert shape[0] <= MAX_SHOWN_FRAMES
    assert all(
        n <= (MAX_LINE_POINTS if frames == 1 and len(view.axes) == 1 else MAX_SIDE_POINTS) for n in shape[1:]
    )
    for axis, n, step in zip(view.axes, shape[1:], view.steps, strict=True):
        assert n * step >= sizes[axis - 1]  # to the end of the axis
    for axis, index in cuts.items():
        assert list(view.selection.axes[axis]) == [index % sizes[axis - 1]]


@pytest.mark.anyio
@pytest.mark.parametrize("layout", LAYOUTS)
async def test_what_is_read_are_the_stored_values(server: Server, layout: str) -> None:
    psi = wave(5, 12, 9, 10)
    async with qwf.connect(server.url) as store:
        await qwf.ingest(qwf.sources.array(psi), store, "psi", layout=layout)
        stored = await store.open("psi")
        plane = await read_picture(stored, frames=range(3, 4), fixed={2: -2})
        np.testing.assert_array_equal(plane.psi, psi[3:4, :, 7])
        coarse = await read_picture(stored, frames=range(5), max_points=5)
        np.testing.assert_array_equal(coarse.psi, psi[:, ::3, ::2, 5].astype(np.complex64))
        line = await read_picture(stored, fixed={1: 2, 3: 9})
        np.testing.assert_array_equal(line.psi, psi[:1, 2, :, 9])
        assert line.peak == pytest.approx(np.max(np.abs(psi[0, 2, :, 9]) ** 2))


@pytest.mark.anyio
async def test_a_slice_of_a_tile_wavefunction_reads_two_percent_of_its_bytes(server: Server) -> None:
    """Along x as long as in 512³, where the layer of tiles that a slice lies in is 1/64 of all."""
    psi = wave(1, 512, 24, 24)
    async with qwf.connect(server.url) as store:
        await qwf.ingest(qwf.sources.array(psi), store, "psi", layout="tile")
        stored = await store.open("psi")

        def sent() -> int:
            return int(ask(server, "INFO", "stats")["total_net_output_bytes"])

        asking = -sent() + sent()
        before = sent()
        picture = await read_picture(stored, fixed={1: 300})
        read = sent() - before - asking
        np.testing.assert_array_equal(picture.psi, psi[:, 300])
        assert picture.psi.nbytes < read <= 0.02 * psi.nbytes


@pytest.mark.anyio
async def test_a_nodal_plane_is_not_what_is_shown_unless_it_is_asked_for(server: Server) -> None:
    async with qwf.connect(server.url) as store:
        await qwf.ingest(qwf.sources.hydrogen(3, 2, 1, grid=Grid.cube(16)), store, "h")
        stored = await store.open("h")
        assert (await read_picture(stored)).view.cut == (2,)
        blank = await read_picture(stored, fixed={3: 8})
        assert blank.view.cut == (3,)
        assert blank.peak < 1e-30
        await qwf.ingest(qwf.sources.array(np.zeros((4, 4, 4))), store, "zero")
        zero = await read_picture(await store.open("zero"))
        assert (zero.view.cut, zero.peak) == ((3,), 0.0)
        draw(zero)


@pytest.mark.anyio
async def test_expectations_are_those_of_the_packet(server: Server) -> None:
    grid = Grid.of((256,), box=(40.0,), frames=5, dt=0.5)
    async with qwf.connect(server.url) as store:
        await qwf.ingest(qwf.sources.gaussian(k=1.5, sigma=1.0, x0=-3.0, grid=grid), store, "packet")
        found = await read_expectations(await store.open("packet"))
    t = 0.5 * np.arange(5)
    np.testing.assert_allclose(found.times, t)
    np.testing.assert_allclose(found.mean[:, 0], -3 + 1.5 * t, atol=1e-9)
    np.testing.assert_allclose(found.sigma[:, 0], np.sqrt(1 + (t / 2) ** 2), rtol=1e-9)
