"""The small picture beside a wavefunction in a notebook: what it shows, and that it never stands in the way."""

from __future__ import annotations

import io
import re
from base64 import b64decode
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

import qwf_async as qwf
from qwf_async.plotting.colours import density_colours
from tests.conftest import Server, new_server


@pytest.fixture
def store(server: Server) -> Iterator[qwf.sync.Store]:
    with qwf.open(server.url) as store:
        yield store


def image(html: str) -> Image.Image:
    found = re.search(r'src="data:image/png;base64,([^"]+)" alt="[^"]+"', html)
    assert found
    return Image.open(io.BytesIO(b64decode(found[1])))


def test_a_plane_has_the_colours_of_plot_and_only_its_points_are_read(store: qwf.sync.Store) -> None:
    x, y = np.meshgrid(np.linspace(0, 3, 300), np.linspace(0, 1, 40), indexing="ij")
    values = (x * np.exp(5j * y))[None, :, :, None].repeat(2, axis=0)
    store.ingest(qwf.sources.array(values), "plane")
    html = store["plane"]._repr_html_()
    seen = np.asarray(image(html))
    density = np.abs(values[0, ::3, :, 0]) ** 2
    np.testing.assert_array_equal(seen, density_colours(density, density.max()).swapaxes(0, 1)[::-1])
    assert "<table" in html
    assert 'alt="|ψ|²: plane' in html
    assert 'width="180" height="24"' in html


def test_it_is_cut_where_there_is_something(store: qwf.sync.Store) -> None:
    store.ingest("hydrogen:n=2,l=1", "p", grid=qwf.Grid.cube(16, box=30.0))
    assert np.asarray(image(store["p"]._repr_html_())).std() > 10


def test_a_line_is_a_curve(store: qwf.sync.Store) -> None:
    store.ingest(qwf.sources.array(np.array([0, 1, 2, np.nan, 0], complex)), "line", allow_nonfinite=True)
    html = store["line"]._repr_html_()
    assert 'role="img" aria-label="|ψ|²: line' in html
    assert "nan" not in html


def test_without_a_picture_the_table_is_shown() -> None:
    for server in new_server("valkey"):
        store = qwf.open(server.url, deadline=60)
        store.ingest(qwf.sources.array(np.ones((4, 4), complex)), "psi")
        psi = store["psi"]
        table = psi._behind._repr_html_()
        assert psi._repr_html_() != table
        with server.plain as client:
            client.flushall()
        assert psi._repr_html_() == table
        server.stop()
        assert psi._repr_html_() == table
        store.close()
        assert psi._repr_html_() == table
