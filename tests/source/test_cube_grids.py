"""Cube files as sources: grids in bohr or ångström, pairs for re and im, orbitals, positions of numbers."""

from __future__ import annotations

from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Axis
from qwf_async.lattice.plan import BoxPlan
from qwf_async.lattice.units import ANGSTROM
from qwf_async.source import open_source
from qwf_async.source.text import default_name
from tests.source.written_files import cube_text, whole
from tests.support.loads import wave

Array = NDArray[Any]


CUBES = Path(__file__).parents[1] / "data"


def test_a_cube_of_psi4_is_read_with_its_grid() -> None:
    text = str(CUBES / "water_mp2_density.cube")
    with closing(open_source(text)) as source:
        assert source.grid.shape == (1, 13, 13, 5)
        assert source.grid.axes[1] == Axis(origin=-3.0, step=0.5, unit="bohr")
        values = whole(source)
        assert (values[0, 0, 0, 0], values[0, 0, 0, 1]) == (1.30269e-06, 4.08156e-06)
        assert source.atoms.shape == (0, 5)  # type: ignore[attr-defined] # of CubeSource; it states three and lists none
        for chunk in BoxPlan.cut(source.grid.shape, points=50, unit=(1, 3, 3, 3)):
            np.testing.assert_array_equal(source.read(chunk.box), values[chunk.box.slices])


def test_a_pair_of_cubes_is_complex_and_angstrom_is_converted(tmp_path: Path) -> None:
    psi = wave(1, 3, 4, 5)[0]
    for name, values in (("re", psi.real), ("im", psi.imag)):
        (tmp_path / f"{name}.cube").write_text(cube_text(values, counts=-1, start="-1.0 0 0"))
    with closing(open_source(f"{tmp_path}/re.cube,{tmp_path}/im.cube")) as source:
        np.testing.assert_allclose(whole(source)[0], psi, rtol=1e-5, atol=1e-5)
        assert source.grid.axes[1] == Axis(origin=-ANGSTROM, step=ANGSTROM / 2, unit="bohr")
        assert source.atoms.tolist() == [[1, 1, 0.25 * ANGSTROM, 0, 0]]  # type: ignore[attr-defined] # of CubeSource
        assert "Z=1 at" in source.understood()["atoms"]  # type: ignore[attr-defined] # of CubeSource
    (tmp_path / "im.cube").write_text(cube_text(psi.imag))
    with pytest.raises(InvalidInput, match="unequal grids"):
        open_source(f"{tmp_path}/re.cube,{tmp_path}/im.cube")


def test_an_orbital_is_chosen_by_its_number(tmp_path: Path) -> None:
    values = np.arange(3 * 4 * 5 * 3.0).reshape(3, 4, 5, 3)
    (tmp_path / "mo.cube").write_text(cube_text(values, orbitals=(5, 6, 9)))
    with closing(open_source(f"{tmp_path}/mo.cube:mo=6")) as source:
        np.testing.assert_array_equal(whole(source)[0], values[..., 1])
        assert default_name(source.spec) == "mo"
    with pytest.raises(InvalidInput, match=r"holds 3 orbitals: choose one, .*:mo=5, of 5, 6, 9"):
        open_source(f"{tmp_path}/mo.cube")
    with pytest.raises(InvalidInput, match="has no orbital 7: it has 5, 6, 9"):
        open_source(f"{tmp_path}/mo.cube:mo=7")


def test_a_large_cube_is_marked_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("qwf_async.source.formats.cube.cube_values")
    monkeypatch.setattr(module, "BLOCK_BYTES", 101)
    monkeypatch.setattr(module, "MARK_NUMBERS", 7)
    values = wave(1, 6, 5, 4)[0].real
    (tmp_path / "a.cube").write_text(cube_text(values))
    with closing(open_source(f"{tmp_path}/a.cube")) as source:
        for chunk in BoxPlan.cut(source.grid.shape, points=13):
            part = values[chunk.box.slices[1:]]
            np.testing.assert_allclose(source.read(chunk.box)[0].real, part, rtol=1e-5, atol=1e-5)
