"""Files that can hold attributes keep the mass of the particle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Grid
from qwf_async.source import files
from qwf_async.source.formats.table import writers
from qwf_async.source.formats.writing import ExportHeader

HEAVY = replace(Grid.of((64,), box=(20,), frames=2, dt=0.5), mass=3.5)


@pytest.mark.parametrize("name", ["psi.h5", "psi.zarr", "psi.nc"])
def test_files_with_attributes_keep_the_mass(tmp_path: Path, name: str) -> None:
    kind = {".h5": "hdf5", ".zarr": "zarr", ".nc": "netcdf"}[Path(name).suffix]
    header = ExportHeader(grid=HEAVY, dtype=np.dtype(np.complex128), title="heavy")
    with writers()[kind].open([tmp_path / name], header) as write:
        write(HEAVY.whole, np.ones(HEAVY.shape, complex))
    source = files(str(tmp_path / name))
    assert source.grid == HEAVY
    source.close()


def test_a_mass_that_is_none_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "psi.h5", "w") as file:
        file["psi"] = np.ones(8, complex)
        file["psi"].attrs["convention_mass"] = "heavy"
    with pytest.raises(InvalidInput, match="convention_mass must be one number above 0"):
        files(str(tmp_path / "psi.h5"))
