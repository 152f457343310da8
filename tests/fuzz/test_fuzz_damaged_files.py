"""Damaged files of every format: read as far as their own checks go, or refused in one line; never anything else."""

from __future__ import annotations

import random
import shutil
from contextlib import closing
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import netcdf_file

from qwf_async.errors import InvalidInput, UsageError
from qwf_async.lattice.plan import BoxPlan
from qwf_async.source import open_source
from qwf_async.source.formats.dims import letters_of
from tests.source.written_files import (
    Array,
    Writer,
    cube_text,
    hdf5_blocks,
    hdf5_compound,
    netcdf_3,
    netcdf_4,
    npz,
    npz_compressed,
)
from tests.support.fuzzing import check_error, fuzzed, mutated
from tests.support.loads import wave

SEEDS = st.integers(0, 2**64)
PSI = wave(2, 3, 4, 5)


@pytest.fixture(scope="module", autouse=True)
def _zarr_runs() -> None:
    """Its thread, which stays until the process ends, is begun before anything is counted."""
    zarr.array(np.zeros(1))


def tried(text: str, dims: str | None = None) -> None:
    """Open and read it all, a chunk at a time, as an ingest does."""
    try:
        with closing(open_source(text, dims=dims)) as source:
            assert source.grid.points < 10**7
            for chunk in BoxPlan.cut(source.grid.shape, order=source.order, points=30):
                values = source.read(chunk.box)
                assert values.shape == chunk.box.shape
                assert values.dtype in (np.complex64, np.complex128)
            source.fingerprint()
    except (InvalidInput, UsageError) as error:
        check_error(error)


def cube_file(path: Path, psi: Array) -> str:
    values = psi[0].real
    (path / "a.cube").write_text(cube_text(values))
    return f"{path}/a.cube"


def orbital_file(path: Path, psi: Array) -> str:
    (path / "a.cube").write_text(cube_text(np.stack([psi[0].real, psi[0].imag], -1), orbitals=(1, 2)))
    return f"{path}/a.cube:mo=2"


def classic(path: Path, psi: Array) -> str:
    with netcdf_file(path / "a.nc", "w") as file:
        for name, size in zip("xyz", psi.shape[1:], strict=True):
            file.createDimension(name, size)
            file.createVariable(name, "f8", (name,))[:] = np.arange(size)
        file.createVariable("psi", "f8", tuple("xyz"))[:] = psi[0].real
    return f"{path}/a.nc"


MAKERS = [
    npz,
    npz_compressed,
    hdf5_compound,
    hdf5_blocks,
    netcdf_4,
    netcdf_3,
    classic,
    cube_file,
    orbital_file,
]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
@fuzzed(60)
@given(seed=SEEDS)
def test_any_damaged_file_is_read_or_refused_in_one_line(
    make: Writer, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.getbasetemp() / "fuzz"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    text = make(directory, PSI)
    (path,) = directory.iterdir()
    content, chance = path.read_bytes(), random.Random(seed)
    if chance.random() < 0.3:
        path.write_bytes(content[: chance.randrange(len(content))])
    elif chance.random() < 0.5:  # within what is no value
        head = chance.choice([64, 400, 2000])
        path.write_bytes(mutated(content[:head], seed) + content[head:])
    else:
        path.write_bytes(mutated(content, seed))
    tried(text)


@fuzzed(40)
@given(seed=SEEDS)
def test_any_damaged_hierarchy_is_read_or_refused_in_one_line(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.getbasetemp() / "fuzz"
    shutil.rmtree(directory, ignore_errors=True)
    chance = random.Random(seed)
    group = zarr.open_group(directory / "a.zarr", mode="w", zarr_format=chance.choice([2, 3]))
    group.create_array("psi", data=PSI, chunks=(1, 2, 2, 5))
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    described = [path for path in files if path.name.startswith((".z", "zarr"))]
    path = chance.choice(described if chance.random() < 0.7 else files)
    if chance.random() < 0.1:
        path.unlink()
    else:
        path.write_bytes(mutated(path.read_bytes(), seed))
    tried(f"{directory}/a.zarr:psi")


PIECES = [
    ":",
    ",",
    "/",
    "=",
    "x",
    "-",
    "0",
    "9" * 20,
    "shape=",
    "mo=",
    "\0",
    "\n",
    "ψ",
    ".npz",
    ".h5",
    "re",
    "c",
    "-1",
    ">",
    "../",
]


@fuzzed(200)
@given(seed=SEEDS)
def test_any_name_of_a_file_is_understood_or_refused_in_one_line(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    chance = random.Random(seed)
    if not Path("a.h5").exists():
        with h5py.File("a.h5", "w") as file:
            file["g/psi"], file["g/re"], file["g/im"] = PSI, PSI.real, PSI.imag
        Path("a.raw").write_bytes(PSI.tobytes())
        np.savez("a.npz", psi=PSI, re=PSI.real)
        cube_file(tmp_path, PSI)
    text = chance.choice(
        [
            "a.h5:/g/psi",
            "a.h5:g/re,g/im",
            "a.raw:shape=2x3x4x5,dtype=c16,order=F",
            "a.npz:psi",
            "a.cube",
            "a.cube,a.cube",
        ]
    )
    for _ in range(chance.choice([0, 1, 1, 2, 4])):
        place = chance.randrange(len(text) + 1)
        text = text[:place] + chance.choice(PIECES) + text[place + chance.choice([0, 0, 1, 4]) :]
    dims = chance.choice(
        [None, None, "t,x,y,z", "x,y,z,t", "x,y", "c,x,y,z", "t=x", "", ",", "=", "x,=,y", "-,x,y,z"]
    )
    tried(text, dims)


@fuzzed(300)
@given(
    shape=st.lists(st.sampled_from([1, 2, 3, 7]), max_size=6).map(tuple),
    names=st.lists(
        st.sampled_from([None, "t", "x", "y", "z", "time", "ri", "dim_0", "lon", "X"]), min_size=6, max_size=6
    ),
    real=st.booleans(),
    wanted=st.none() | st.lists(st.sampled_from("txyzc-"), max_size=5).map(",".join),
)
def test_dimensions_are_all_given_a_letter_of_their_own_or_refused(
    shape: tuple[int, ...], names: list[str | None], real: bool, wanted: str | None
) -> None:
    try:
        letters = letters_of(names[: len(shape)], shape, real=real, dims=wanted, what="it")
    except (InvalidInput, UsageError) as error:
        check_error(error)
        return
    assert len(letters) == len(shape)
    kept = letters.replace("-", "")
    assert len(set(kept)) == len(kept) > 0
    for letter, size in zip(letters, shape, strict=True):
        assert letter != "c" or (size == 2 and real)
        assert letter != "-" or size == 1
