"""How a wavefunction shows itself: without a server, and whatever its source is called."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from qwf_async.catalog.manifest import Manifest
from qwf_async.client.address import Address
from qwf_async.lattice.grid import Grid
from qwf_async.layout import Form
from qwf_async.settings import Settings
from qwf_async.store.connecting import pool_to
from qwf_async.store.store_pool import StorePool
from qwf_async.store.wavefunction import Wavefunction
from qwf_async.wording import printable


class Reader(HTMLParser):
    """The tags of a page, and the text of its cells."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        assert not attrs
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.tags[-1] == "td":
            self.cells[-1] += data


def stored(source: str, layout: str = "tile") -> Wavefunction:
    grid = Grid.cube(32, box=16.0, frames=3, dt=0.5)
    form = Form.of(layout=layout, codec="c16", shape=grid.shape)
    manifest = Manifest(
        generation="0123456789abcdef",
        form=form,
        grid=grid,
        source=source,
        fingerprint="",
    )
    settings = Settings()
    nowhere = pool_to(Address.parse("redis://127.0.0.1:1"), settings)
    return Wavefunction(StorePool(nowhere), settings, "psi", manifest)


def test_it_tells_name_axes_layout_codec_points_size_and_generation() -> None:
    text = repr(stored("psi.npy"))
    for part in ("name psi", "x 32 from -8 bohr, step 0.5 bohr", "t 3 from 0 hbar/Eh, step 0.5 hbar/Eh",
                 "layout tile 8×8×8", "codec c16", "points 98,304", "MB", "generation 0123456789abcdef"):  # fmt: skip
        assert part in text


@given(st.text(st.characters(codec="utf-8")))
def test_no_source_breaks_the_table(source: str) -> None:
    psi = stored(source)
    reader = Reader()
    reader.feed(psi._repr_html_())
    reader.close()
    assert reader.tags == ["table", *["tr", "th", "td"] * 11]
    assert reader.cells[9] == printable(source)
    assert printable(source) in repr(psi)
    assert repr(psi).isprintable()
