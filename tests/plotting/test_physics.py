"""Momentum, current and spectrum as plots: what is read for them, and what is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import qwf_async as qwf
from qwf_async import observables, sources
from qwf_async.errors import InvalidInput, UsageError
from qwf_async.lattice.grid import Grid
from qwf_async.lattice.units import ANGSTROM
from qwf_async.plotting import KINDS, plot
from qwf_async.plotting.curves import Arrows, Curve, Curves, Field
from qwf_async.plotting.figure import draw_curves, draw_field
from qwf_async.plotting.from_physics import read_current, read_momentum, read_spectrum
from qwf_async.plotting.terminal import arrow_lines
from tests.conftest import Server

pytestmark = pytest.mark.anyio
GRID = replace(Grid.of((40, 32), box=(20.0, 16.0), frames=2, dt=0.3), mass=2.0)
CUBE = Grid.of((20, 18, 16), box=(12.0, 12.0, 12.0))


async def test_a_momentum_is_shown_where_it_is_and_integrated_over_what_is_not_shown(server: Server) -> None:
    packet = sources.gaussian(k=(1, -1), grid=GRID)
    async with qwf.connect(server.url) as store:
        await qwf.ingest(packet, store, "packet")
        await qwf.ingest(sources.gaussian(k=(1, -1, 0.5), grid=CUBE), store, "cube")
        await qwf.ingest(sources.gaussian(k=2, grid=Grid.of((256,), box=(80.0,))), store, "line")
        field = await read_momentum(await store.open("packet"), 1, None)
        cube = await read_momentum(await store.open("cube"), 0, 2)
        line = await read_momentum(await store.open("line"), 0, None)
        with pytest.raises(InvalidInput, match="no momentum along z"):
            await read_momentum(await store.open("packet"), 0, 3)
    assert isinstance(field, Field)
    assert isinstance(cube, Field)
    assert isinstance(line, Curves)
    (left, right), (low, high) = field.across, field.up
    assert left < 1 < right < np.pi * 40 / 20
    assert low < -1 < high
    cell = (right - left) / field.values.shape[0] * (high - low) / field.values.shape[1]
    assert field.values.sum() * cell == pytest.approx(1, abs=1e-3)
    assert (field.across_label, field.label) == ("kx (ħ/bohr)", "ρ(kx, ky) ((bohr/ħ)²)")
    assert (cube.up_label, cube.title) == ("kz (ħ/bohr)", "cube")
    (curve,) = line.curves
    assert curve.x[np.argmax(curve.y)] == pytest.approx(2, abs=0.04)
    assert -1 < curve.x[0] < curve.x[-1] < 5 < np.pi * 256 / 80  # waves that are not there are not shown
    assert curve.y_label == "ρ(kx) (bohr/ħ)"


async def test_a_current_is_that_of_the_whole_state_on_a_plane_and_along_a_line(server: Server) -> None:
    psi = sources.gaussian(k=(1, -1, 0.5), grid=CUBE).read(CUBE.whole)
    nm = 0.1 / ANGSTROM
    t, *axes = CUBE.axes
    x, y, z = (replace(a, origin=a.origin * nm, step=(a.step or 0) * nm, unit="nm") for a in axes)
    metric = replace(CUBE, axes=(t, x, y, z), mass=0.5)
    wanted = observables.current(psi, metric)[:, 0]
    async with qwf.connect(server.url) as store:
        await qwf.ingest(sources.array(psi, replace(CUBE, mass=0.5)), store, "cube")
        await qwf.ingest(sources.array(psi, metric), store, "metric")
        plane = await read_current(await store.open("cube"), 0, {2: 7})
        line = await read_current(await store.open("cube"), 0, {1: 9, 2: 7})
        other = await read_current(await store.open("metric"), 0, {1: 9, 2: 7})
    assert isinstance(plane, Field)
    assert isinstance(line, Curves)
    assert isinstance(other, Curves)
    assert plane.arrows is not None
    across = np.searchsorted(CUBE.coordinates(1, 0, 20), plane.arrows.across - 1e-9)
    up = np.searchsorted(CUBE.coordinates(3, 0, 16), plane.arrows.up - 1e-9)
    for component, number in zip(plane.arrows.along, (0, 2), strict=True):
        np.testing.assert_allclose(component, wanted[number][across[:, None], 7, up], atol=1e-15)
    assert plane.arrows.label == "j (Eh/ħ bohr⁻²)"
    np.testing.assert_allclose(line.curves[0].y, wanted[2, 9, 7], atol=1e-15)
    fs = 0.02418884326586
    np.testing.assert_allclose(other.curves[0].y, wanted[2, 9, 7] / fs / nm**2, rtol=1e-9, atol=1e-12)
    assert (other.curves[0].x_label, other.curves[0].y_label) == ("z (nm)", "jz (1/fs nm⁻²)")


async def test_a_spectrum_has_its_lines_marked(server: Server) -> None:
    both = sources.harmonic({0: 0.6, 1: 0.8}, grid=Grid.of((64,), frames=40, dt=0.4))
    async with qwf.connect(server.url) as store:
        await qwf.ingest(both, store, "both")
        found = await read_spectrum(await store.open("both"))
    assert [text for _, text in found.curves[0].marks] == ["1.5", "0.5"]  # the strongest first
    figure = draw_curves(found)
    assert {text.get_text() for text in figure.axes[0].texts} == {"0.5", "1.5"}
    assert figure.axes[0].get_xlabel() == "E (Eh)"


def test_fields_and_arrows_are_drawn_where_they_are() -> None:
    arrows = Arrows(
        label="j",
        across=np.array([0.0, 1, 2]),
        up=np.array([0.0, 1]),
        along=(np.array([[1.0, -1], [0, 0], [1, 0]]), np.array([[0.0, 0], [1, -1], [1, 0]])),
    )
    values = np.arange(6.0).reshape(3, 2)
    field = Field(
        title="it", across_label="x", up_label="y", across=(-0.5, 2.5), up=(-0.5, 1.5), values=values,
        label="ρ", alike=True, in_steps="", arrows=arrows,
    )  # fmt: skip
    figure = draw_field(field)
    (image,) = figure.axes[0].images
    np.testing.assert_array_equal(np.asarray(image.get_array()), values.T)
    (quiver,) = figure.axes[0].collections
    assert len(np.asarray(quiver.get_offsets())) == 5  # that of no length is left out
    assert arrow_lines(arrows, 3, 4, plain=False) == ["←↓ ", "→↑↗"]
    assert arrow_lines(arrows, 3, 4, plain=True) == ["<v ", ">^/"]
    dip = Curves(
        title="it",
        curves=(Curve(x_label="x", y_label="j", x=np.arange(3.0), y=np.array([1.0, -2, 0])),),
        in_steps="",
    )
    assert draw_curves(dip).axes[0].get_ylim()[0] < -2


async def test_any_kind_is_one_call(server: Server) -> None:
    async with qwf.connect(server.url) as store:
        source = sources.gaussian(k=1, grid=Grid.of((32,), box=(20.0,), frames=8, dt=0.1))
        await qwf.ingest(source, store, "psi")
        psi = await store.open("psi")
        for kind in (None, *KINDS):
            if kind == "animation":
                with pytest.raises(UsageError, match="is no animation"):
                    await plot(psi, kind)
            else:
                assert (await plot(psi, kind)).axes
        assert (await plot(psi, "phase", at="t=0.31")).get_suptitle() == "psi   t = 0.3 ħ/Eh"
        with pytest.raises(UsageError, match=r"^what='current' shows one frame"):
            await plot(psi, "current", all=True)
