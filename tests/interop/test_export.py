"""Export to every format, and back: what is ingested again is what was stored, to the last bit; cube to its digits."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

import qwf_async
from qwf_async.cli.app import app
from qwf_async.errors import InvalidInput, QwfError, UsageError
from qwf_async.exporting import export_file
from qwf_async.exporting.export_file import export
from qwf_async.lattice.grid import Axis, Grid, shape4
from qwf_async.layout import LAYOUTS
from qwf_async.source import array, open_source
from qwf_async.source.formats.table import writers
from tests.conftest import Server, new_server
from tests.support.command import Shell
from tests.support.loads import wave
from tests.support.relay import relaying

pytestmark = pytest.mark.anyio
SUFFIXES = (".npy", ".h5", ".zarr", ".nc")
LAID = Grid.of((5, 3, 4), box=(7.3, 0.1, 2.0), frames=2, dt=0.037)


@pytest.fixture(scope="module", autouse=True)
def _zarr_runs() -> None:
    """Its thread, which stays until the process ends, is begun before anything is counted."""
    zarr.array(np.zeros(1))


async def stored(
    store: qwf_async.Store, psi: NDArray[Any], grid: Grid | None = None, **form: Any
) -> qwf_async.Wavefunction:
    await qwf_async.ingest(array(psi, grid), store, "psi", overwrite=True, **form)
    return await store.open("psi")


def read_again(path: str) -> tuple[Grid, NDArray[Any]]:
    with closing(open_source(path)) as source:
        return source.grid, np.array(source.read(source.grid.whole))


axes = st.builds(
    Axis,
    origin=st.floats(-50, 50),
    step=st.floats(1e-3, 10),
    unit=st.sampled_from(["bohr", None]),
    periodic=st.booleans(),
) | st.just(Axis())


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    shape=st.tuples(*[st.integers(1, 6)] * 4).map(shape4),
    laid=st.tuples(axes, axes, axes, axes),
    codec=st.sampled_from(["c16", "c8"]),
    layout=st.sampled_from(list(LAYOUTS)),
    seed=st.integers(0, 1000),
    points=st.integers(5, 50),
)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_is_exported_and_ingested_again_is_the_same_to_the_last_bit(
    server: Server,
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, int, int, int],
    laid: tuple[Axis, Axis, Axis, Axis],
    codec: str,
    layout: str,
    seed: int,
    points: int,
) -> None:
    time = laid[0] if laid[0].unit is None else Axis(origin=laid[0].origin, step=laid[0].step, unit="hbar/Eh")
    known = [Axis(), Axis(), Axis(), Axis()]
    for number, axis in enumerate((time, *laid[1:])):
        known[number] = axis if axis.step is not None else Axis()
    grid = Grid(shape=shape, axes=(known[0], known[1], known[2], known[3]))
    psi = wave(*shape, seed=seed).astype("c8" if codec == "c8" else "c16")
    directory = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_file, "POINTS", points)
        async with qwf_async.connect(server.url) as store:
            found = await stored(store, psi, grid, codec=codec, layout=layout)
            for suffix in SUFFIXES:
                path = f"{directory}/psi{suffix}"
                await export(found, path)
                with closing(open_source(path)) as source:
                    values = source.read(source.grid.whole)
                    assert values.dtype == psi.dtype
                    np.testing.assert_array_equal(values, psi)
                    if suffix != ".npy":
                        assert source.grid == grid
                    await qwf_async.ingest(source, store, "again", overwrite=True, codec=codec, verify=True)
                again = await store.open("again")
                np.testing.assert_array_equal(await again.read[...], psi)
    assert sorted(path.name for path in directory.iterdir()) == sorted(f"psi{suffix}" for suffix in SUFFIXES)


async def test_a_cube_keeps_the_digits_that_it_prints(server: Server, tmp_path: Path) -> None:
    psi = wave(1, 4, 3, 8)
    psi[0, 0, 0, :3] = [1e-120 - 1e-120j, -9.999999e99, 0]
    grid = Grid.of((4, 3, 8), box=(7.3, 0.1, 2.0))
    pair = f"{tmp_path}/re.cube,{tmp_path}/im.cube"
    async with qwf_async.connect(server.url) as store:
        await export(await stored(store, psi, grid, allow_nonfinite=True), pair)
        laid, values = read_again(pair)
        expected = [complex(float(f"{v.real:.5E}"), float(f"{v.imag:.5E}")) for v in psi.ravel()]
        np.testing.assert_array_equal(values.ravel(), expected)
        assert [(a.origin, a.step) for a in laid.axes] == [(a.origin, a.step) for a in grid.axes]
        first = [(tmp_path / name).read_bytes() for name in ("re.cube", "im.cube")]
        await export(await stored(store, values, laid), pair, overwrite=True)
        assert [(tmp_path / name).read_bytes().split(b"\n", 2)[2] for name in ("re.cube", "im.cube")] == [
            text.split(b"\n", 2)[2] for text in first
        ]
        assert len(first[0].splitlines()) == 6 + 4 * 3 * 2


async def test_a_cube_that_cannot_hold_it_is_refused_and_nothing_is_left(
    server: Server, tmp_path: Path
) -> None:
    async with qwf_async.connect(server.url) as store:
        psi = await stored(store, wave(2, 5, 3, 4), LAID)
        with pytest.raises(InvalidInput, match="holds one time, and there are 2: choose one by frame"):
            await export(psi, f"{tmp_path}/psi.cube")
        with pytest.raises(InvalidInput, match="name two files, re"):
            await export(psi, f"{tmp_path}/psi.cube", frame=1)
        with pytest.raises(InvalidInput, match="t = 2 is outside the grid"):
            await export(psi, f"{tmp_path}/psi.cube", frame=2)
        bare = await stored(store, wave(1, 5, 3, 4))
        with pytest.raises(InvalidInput, match="needs the spacing along x"):
            await export(bare, f"{tmp_path}/psi.cube")
        real = await stored(store, wave(1, 5, 3, 4).real, Grid.of((5, 3, 4), box=(1, 1, 1)))
        assert os.listdir(tmp_path) == []
        await export(real, f"{tmp_path}/psi.cube")
        assert os.listdir(tmp_path) == ["psi.cube"]


async def test_a_frame_is_exported_with_its_time(server: Server, tmp_path: Path) -> None:
    psi = wave(2, 5, 3, 4)
    async with qwf_async.connect(server.url) as store:
        found = await stored(store, psi, LAID)
        await export(found, tmp_path / "psi.h5", frame=1)
        grid, values = read_again(f"{tmp_path}/psi.h5")
        np.testing.assert_array_equal(values, psi[1:])
        assert grid.axes == (Axis(origin=0.037, step=0.037, unit="hbar/Eh"), *LAID.axes[1:])


async def test_others_read_the_files_with_their_axes(server: Server, tmp_path: Path) -> None:
    psi = wave(2, 5, 3, 4)
    async with qwf_async.connect(server.url) as store:
        found = await stored(store, psi, LAID)
        for suffix in (".h5", ".zarr", ".nc"):
            await export(found, f"{tmp_path}/psi{suffix}")
    with xarray.open_dataset(tmp_path / "psi.nc", engine="h5netcdf") as data:
        np.testing.assert_array_equal(data.psi_re + 1j * data.psi_im, psi)
        np.testing.assert_array_equal(data.x, LAID.coordinates(1, 0, 5))
        assert data.x.attrs["units"] == "bohr"
    with h5py.File(tmp_path / "psi.h5") as file:
        np.testing.assert_array_equal(file["psi"][...], psi)
        np.testing.assert_array_equal(file["psi"].dims[3][0][...], LAID.coordinates(3, 0, 4))
    with xarray.open_zarr(tmp_path / "psi.zarr", consolidated=False) as data:
        np.testing.assert_array_equal(data.psi, psi)
        assert data.t.attrs["units"] == "hbar/Eh"


async def test_a_raw_file_has_the_numbers_alone_and_is_read_again_by_its_shape(
    server: Server, tmp_path: Path
) -> None:
    psi = wave(2, 5, 3, 4)
    async with qwf_async.connect(server.url) as store:
        for codec, dtype in (("c16", "<c16"), ("c8", "<c8")):
            await export(await stored(store, psi, codec=codec), tmp_path / "psi.raw", overwrite=True)
            assert (tmp_path / "psi.raw").read_bytes() == psi.astype(dtype).tobytes()
            again = read_again(f"{tmp_path}/psi.raw:shape=2x5x3x4,dtype={codec}")[1]
            np.testing.assert_array_equal(again, psi.astype(dtype))


@pytest.mark.parametrize("suffix", SUFFIXES)
async def test_an_export_that_fails_leaves_what_was_there(
    server: Server, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"psi{suffix}"
    monkeypatch.setattr(export_file, "POINTS", 20)
    async with qwf_async.connect(server.url) as store:
        old = wave(2, 5, 3, 4)
        await export(await stored(store, old), path)
        psi = await stored(store, wave(2, 5, 3, 4, seed=1))
        with pytest.raises(InvalidInput, match="is there already: overwrite=True replaces it"):
            await export(psi, path)
        await store.remove("psi")
        with pytest.raises(QwfError):
            await export(psi, path, overwrite=True)
        np.testing.assert_array_equal(read_again(str(path))[1], old)
        assert os.listdir(tmp_path) == [path.name]
        new = await stored(store, wave(2, 5, 3, 4, seed=2))
        await export(new, path, overwrite=True)
        np.testing.assert_array_equal(read_again(str(path))[1], wave(2, 5, 3, 4, seed=2))
        assert os.listdir(tmp_path) == [path.name]


async def test_what_is_no_place_for_a_file_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "letter").write_text("dear")
    (tmp_path / "mine.h5").mkdir()
    async with qwf_async.connect(server.url) as store:
        psi = await stored(store, wave(1, 5, 3, 4))
        for name, message in (
            ("mine.zarr", "no Zarr directory"),
            ("mine.h5", "no regular file"),
            ("no/where.h5", r"cannot write .*where\.h5: No such file or directory: \S*/no$"),
            ("no/where.nc", r"cannot write .*where\.nc: No such file or directory: \S*/no$"),
            ("a.cube,b.cube,c.cube", "no pair of files"),
        ):
            with pytest.raises(InvalidInput, match=message):
                await export(psi, f"{tmp_path}/{name}", overwrite=True)
        for wanted, message in ((None, "no suffix that says its format"), ("tiff", "unknown format 'tiff'")):
            with pytest.raises(UsageError, match=message):
                await export(psi, tmp_path / "psi.xyz", format=wanted)
        await export(psi, tmp_path / "psi.xyz", format="hdf5")
        with h5py.File(tmp_path / "psi.xyz") as file:
            assert file["psi"].shape == (1, 5, 3, 4)
    assert (tmp_path / "mine.zarr" / "letter").read_text() == "dear"
    assert sorted(os.listdir(tmp_path)) == ["mine.h5", "mine.zarr", "psi.xyz"]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shell, Server]]:
    for server in new_server("valkey", maxmemory="1gb"):
        yield Shell.at(tmp_path_factory.mktemp("shell"), QWF_URL=server.url), server


def test_the_command_line_takes_files_in_and_writes_them(shell: tuple[Shell, Server]) -> None:
    run, server = shell
    psi = wave(5, 3, 4, 2)
    with h5py.File(run.directory / "run.h5", "w") as file:
        file["sim/psi"], file["sim/other"] = psi, [1.0]
    ingest = ["ingest", "run.h5:/sim/psi", "--dims", "x,y,z,t", "--box", "5x3x4"]
    dry, wrong = run.each([*ingest, "--dry-run"], ["ingest", "run.h5:/psi"])
    assert dry.status == 0, dry.err
    for text in ("HDF5", "run.h5:/sim/psi", "complex128", "x=0 (5)", "t=3 (2)", "axis x"):
        assert text in dry.out
    assert (wrong.status, wrong.lines[-1]) == (
        7, "qwf: run.h5 has no array 'psi': it has sim/other, sim/psi (exit 7)",
    )  # fmt: skip
    with server.plain as client:
        assert client.dbsize() == 0
    *done, again = run.each(
        [*ingest, "--layout", "tile"],
        ["verify", "run", "run.h5:/sim/psi", "--dims", "x,y,z,t"],
        ["export", "run", "psi.zarr", "--json"],
        ["export", "run", "psi.nc", "--json"],
        ["export", "run", "re.cube,im.cube", "--json", "--frame", "1"],
        ["export", "run", "psi.zarr"],
    )
    assert [(ended.status, ended.err) for ended in done if ended.status] == []
    np.testing.assert_array_equal(read_again(f"{run.directory}/psi.nc")[1], psi.transpose(3, 0, 1, 2))
    assert (again.status, again.lines[-1]) == (
        7, "qwf: psi.zarr is there already: --overwrite replaces it (exit 7)",
    )  # fmt: skip


def test_a_stopped_export_leaves_nothing(shell: tuple[Shell, Server]) -> None:
    run, server = shell
    assert run.qwf("ingest", "gaussian", "--grid", "64", "--layout", "tile", "--name", "large").status == 0
    before = set(os.listdir(run.directory))
    with relaying(server) as relay, run.begin("export", "large", "large.h5", "-u", relay.url) as begun:
        relay.slice(1)  # to carry 4 MB so takes a minute
        while not any(name.startswith(".large") for name in os.listdir(run.directory)):
            assert begun.process.poll() is None
            time.sleep(0.001)
        begun.signal(signal.SIGTERM)
        ended = begun.end()
    assert (ended.status, ended.lines[-1]) == (
        143,
        "qwf: stopped by SIGTERM; large.h5 was not written (exit 143)",
    )
    assert set(os.listdir(run.directory)) == before


def test_help_names_every_format_that_can_be_written() -> None:
    text = CliRunner().invoke(app, ["export", "--help"]).output
    assert all(name in text for name in writers())
    assert all(f"psi{writer.endings[0]}" in text for writer in writers().values() if writer.max_files == 1)
