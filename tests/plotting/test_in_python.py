"""`qwf.plot` and `psi.plot`: a figure in a script or a notebook, by the choices of `qwf plot`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

import qwf_async as qwf
from tests.conftest import Server

PACKET = qwf.sources.gaussian(k=2, sigma=1, grid=qwf.Grid.of((128,), box=(40,), frames=8, dt=0.25))


def pictured(figure: Any) -> bytes:
    """The figure as a notebook asks for it."""
    return bytes(figure._repr_png_())


@pytest.fixture
def psi(server: Server) -> Iterator[qwf.sync.Wavefunction]:
    with qwf.open(server.url) as store:
        store.ingest(PACKET, "packet")
        yield store["packet"]


def test_a_figure_is_drawn_and_shown_by_a_notebook_itself(psi: qwf.sync.Wavefunction) -> None:
    from matplotlib import pyplot

    for figure, panels in (
        (psi.plot(), 1),
        (qwf.plot(psi, "phase", at={"t": 1.0}), 1),
        (psi.plot(all=True), 2),
        (psi.plot("expectations"), 2),
        (psi.plot("marginals", frame=-1), 1),
    ):
        assert len([axes for axes in figure.axes if axes.get_label() != "<colorbar>"]) == panels
        assert pictured(figure).startswith(b"\x89PNG")
    assert "t = 1" in qwf.plot(psi, at="t=1").get_suptitle()
    assert pyplot.get_fignums() == []  # else a notebook would show it twice


def test_what_cannot_be_drawn_is_refused_in_the_words_of_python(psi: qwf.sync.Wavefunction) -> None:
    with pytest.raises(qwf.UsageError, match=r"^what 'colour' is none of density"):
        psi.plot("colour")
    with pytest.raises(qwf.UsageError, match=r"^a figure is no animation: write_animation"):
        psi.plot("animation")
    with pytest.raises(qwf.UsageError, match=r"^frame names one frame"):
        psi.plot(frame=1, all=True)
    with pytest.raises(qwf.UsageError, match=r"^slice 'w=1' cannot be read"):
        psi.plot(slice={"w": 1})
    with pytest.raises(qwf.InvalidInput, match="frame must be a whole number"):
        psi.plot(frame=math.pi)  # type: ignore[arg-type]
    with pytest.raises(qwf.InvalidInput, match="frame 8 is outside the grid"):
        psi.plot(frame=8)
