"""Cube files as programs write them: Fortran's exponents, several values at a voxel, odd headers, rounded cells."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from qwf_async import sources
from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Axis
from qwf_async.source import open_source

RNG = np.random.default_rng(11)
VALUES = np.array([float(f"{v:.5E}") for v in RNG.normal(size=60)]).reshape(3, 4, 5)
ATOM = ["1 1.0 0.25 0.0 0.0"]
STRAIGHT = ("0.5 0 0", "0 0.5 0", "0 0 0.5")


def text(
    values: NDArray[Any] = VALUES,
    *,
    first: str = "1 -1 -1 -1",
    edges: Sequence[str] = STRAIGHT,
    atoms: Sequence[str] = ATOM,
    words: dict[int, str] | None = None,
) -> str:
    """A cube file of [x, y, z] or [x, y, z, values]; of its numbers some may be `words` by their place."""
    numbers = [f"{v:.5E}" for v in values.ravel()]
    for place, word in (words or {}).items():
        numbers[place] = word
    rows = [f"{n} {edge}" for n, edge in zip(values.shape, edges, strict=False)]
    body = [" ".join(numbers[i : i + 6]) for i in range(0, len(numbers), 6)]
    return "\n".join(["title", "", first, *rows, *atoms, *body]) + "\n"


def read(path: Path, content: str, **options: Any) -> tuple[NDArray[Any], Any]:
    """ψ[x, y, z] and the source, closed."""
    (path / "a.cube").write_text(content, encoding="latin-1")
    with closing(sources.cube(path / "a.cube", **options)) as source:
        return source.read(source.grid.whole)[0], source


def test_a_real_file_holds_what_another_parser_finds() -> None:
    path = Path(__file__).parents[1] / "data" / "water_mp2_density_whole.cube"
    expected = np.array(" ".join(path.read_text().splitlines()[6:]).split(), float).reshape(13, 13, 13)
    with closing(open_source(str(path))) as source:
        assert np.array_equal(source.read(source.grid.whole)[0], expected)
        assert source.grid.axes[3] == Axis(origin=-2.563058, step=0.5, unit="bohr")
        assert source.grid.cell_volume == 0.125


@pytest.mark.parametrize(
    ("word", "value"),
    [("0.33004-101", 0.33004e-101), ("-.17557+106", -0.17557e106), ("0.5D-10", 0.5e-10), ("0.5d+03", 500.0),
     ("1.-120", 1e-120), ("0.33004E-101", 0.33004e-101), ("7", 7.0)],
)  # fmt: skip
@pytest.mark.parametrize("place", [0, 31, 59])
def test_exponents_are_read_as_fortran_writes_them(
    tmp_path: Path, word: str, value: float, place: int
) -> None:
    expected = VALUES.astype(complex)
    expected.flat[place] = value
    found, _ = read(tmp_path, text(words={place: word, 17: "0.1-100"}))
    expected.flat[17] = 0.1e-100
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("word", ["0.33004-10", "0.33-1011", "--101", "1-", "********", "0.5E", "x"])
def test_what_is_no_number_is_refused(tmp_path: Path, word: str) -> None:
    (tmp_path / "a.cube").write_text(text(words={8: word}))
    with closing(sources.cube(tmp_path / "a.cube")) as source, pytest.raises(InvalidInput, match="is none"):
        source.read(source.grid.whole)


def test_headers_may_be_written_by_fortran_too(tmp_path: Path) -> None:
    content = text(first="1.0 -0.1D+01 -1.0E0 -0.1-100", edges=("5.0D-01 0 0", "0 .5d0 0", "0.0D0 0.0 0.5"))
    found, source = read(tmp_path, content.replace("\n", "\r\n"))
    assert np.array_equal(found, VALUES)
    assert source.grid.axes[1:] == tuple(
        Axis(origin=origin, step=0.5, unit="bohr") for origin in (-1.0, -1.0, -0.1e-100)
    )


ATOMS = {
    "a ghost": "0 0.0 0.1 0.2 0.3",
    "a ghost below 0": "-1 0.0 0.1 0.2 0.3",
    "a number with a point": "8.0 8.0 0.1 0.2 0.3",
    "a symbol": "Bq 0.0 0.1 0.2 0.3",
    "a label behind": "8 8.0 0.1 0.2 0.3 O1",
    "no charge": "8 0.1 0.2 0.3",
    "six numbers": "8 8.0 0.1 0.2 0.3 15.999",
}


@pytest.mark.parametrize("line", ATOMS.values(), ids=ATOMS)
@pytest.mark.parametrize("count", [1, 3])
def test_atoms_of_any_kind_are_no_values(tmp_path: Path, line: str, count: int) -> None:
    found, source = read(tmp_path, text(first=f"{count} -1 -1 -1", atoms=[line] * count))
    assert np.array_equal(found, VALUES)
    assert len(source.atoms) == count
    assert source.understood()["atoms"]


def test_atoms_that_are_stated_need_not_be_there(tmp_path: Path) -> None:
    for count in (1, 3, 200):  # more than there are lines
        found, source = read(tmp_path, text(first=f"{count} -1 -1 -1", atoms=[]))
        assert np.array_equal(found, VALUES)
        assert len(source.atoms) == 0


def test_a_file_that_is_cut_by_the_numbers_of_its_atoms_is_cut_short(tmp_path: Path) -> None:
    lines = text().split("\n")
    assert len(lines[-2].split()) == 6
    lines[-2] = lines[-2].split()[0]  # five numbers fewer, as many as an atom has
    with pytest.raises(InvalidInput, match="is cut short: 55 numbers, where its header says 60"):
        read(tmp_path, "\n".join(lines) + "\n")


def test_one_of_several_values_at_a_voxel_is_chosen(tmp_path: Path) -> None:
    four = np.stack([VALUES, 2 * VALUES, -VALUES, VALUES + 1], -1)
    content = text(four, first="1 -1 -1 -1 4")
    with pytest.raises(InvalidInput, match=r"holds 4 values at a voxel: choose one, .*:mo=1, of 1, 2, 3, 4"):
        read(tmp_path, content)
    found, _ = read(tmp_path, content, orbital=3)
    assert np.array_equal(found, -VALUES)
    with closing(open_source(f"{tmp_path}/a.cube:mo=1")) as source:
        assert np.array_equal(source.read(source.grid.whole)[0], VALUES)
    with pytest.raises(InvalidInput, match="has no value 5: it has 1, 2, 3, 4"):
        open_source(f"{tmp_path}/a.cube:mo=5")


@pytest.mark.parametrize("stated", ["", " 1", " 2", " 2.0"])
def test_orbitals_may_be_counted_twice(tmp_path: Path, stated: str) -> None:
    two = np.stack([VALUES, 10 * VALUES], -1)
    for numbers in (["2 7 8"], ["2 7", "8"]):
        content = text(two, first=f"-1 -1 -1 -1{stated}", atoms=[*ATOM, *numbers])
        assert np.allclose(read(tmp_path, content, orbital=8)[0], 10 * VALUES, rtol=1e-5)
        assert np.array_equal(read(tmp_path, content, orbital=7)[0], VALUES)
    with pytest.raises(InvalidInput, match="says 3 values at a voxel, but numbers 2 orbitals"):
        read(tmp_path, text(two, first="-1 -1 -1 -1 3", atoms=[*ATOM, "2 7 8"]), orbital=7)


def test_rounding_across_an_edge_is_no_slant(tmp_path: Path) -> None:
    noisy = ("0.5 4e-7 -1e-16", "-3e-17 0.5 0", "0 -4e-7 0.5")
    found, source = read(tmp_path, text(edges=noisy))
    assert np.array_equal(found, VALUES)
    assert [axis.step for axis in source.grid.axes[1:]] == [0.5, 0.5, 0.5]
    for edges in (("0.5 1e-6 0", *STRAIGHT[1:]), ("0.5 0 0", "0.25 0.433 0", "0 0 0.5"), STRAIGHT[::-1]):
        with pytest.raises(InvalidInput, match="voxels do not lie along x, y and z"):
            read(tmp_path, text(edges=edges))


def test_a_pair_may_differ_by_rounding(tmp_path: Path) -> None:
    (tmp_path / "re.cube").write_text(text())
    (tmp_path / "im.cube").write_text(text(edges=("0.5000001 0 0", *STRAIGHT[1:])))
    with closing(open_source(f"{tmp_path}/re.cube,{tmp_path}/im.cube")) as source:
        assert np.array_equal(source.read(source.grid.whole)[0], VALUES * (1 + 1j))
    (tmp_path / "im.cube").write_text(text(first="1 -1 -1 -1.001"))
    with pytest.raises(InvalidInput, match="unequal grids"):
        open_source(f"{tmp_path}/re.cube,{tmp_path}/im.cube")
