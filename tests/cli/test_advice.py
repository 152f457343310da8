"""The advice in a message works when it is followed: options as it writes them, names as it gives them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray

import qwf_async
from qwf_async import sources
from qwf_async.errors import InvalidInput, QwfError, UsageError
from qwf_async.lattice.grid import Grid
from qwf_async.source import open_source

OPTION = re.compile(r"\b(dims|box|dt|grid)=('[^']*'|[0-9.]+)")


def advised(message: str) -> list[dict[str, Any]]:
    """The options that a message writes out, each alone."""
    return [{name: ast.literal_eval(value)} for name, value in OPTION.findall(message)]


def opens(spec: str, **options: Any) -> Any:
    """The shape of the source that is opened; all of it can be read."""
    with closing(open_source(spec, **options)) as source:
        source.read(source.grid.whole)
        return source.grid.shape


def refusal(spec: str, **options: Any) -> str:
    with pytest.raises(QwfError) as refused:
        opens(spec, **options)
    return str(refused.value)


def saved(path: Path, values: Any) -> str:
    np.save(path / "a.npy", values)
    return f"{path}/a.npy"


REAL, COMPLEX = np.float64, np.complex128
DIMENSIONS = [
    ((4, 2), REAL, 2), ((2, 4), REAL, 2), ((2, 2), REAL, 3), ((4, 5, 2), REAL, 2), ((2, 4, 3, 3, 2), REAL, 2),
    ((1, 3, 4, 5, 6), COMPLEX, 1), ((3, 1, 4, 1, 5, 1), COMPLEX, 1), ((1, 2, 3, 1, 4, 1, 2), REAL, 3),
    ((3, 1, 4, 5, 6, 2), REAL, 1),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "dtype", "ways"), DIMENSIONS)
def test_dimensions_can_be_said_as_advised(
    tmp_path: Path, shape: tuple[int, ...], dtype: Any, ways: int
) -> None:
    path = saved(tmp_path, np.ones(shape, dtype))
    advice = advised(refusal(path))
    assert len(advice) >= min(ways, 2)
    for options in advice:
        assert np.prod(opens(path, **options)) in (np.prod(shape), np.prod(shape) / 2)


def test_what_no_option_can_mend_is_not_advised(tmp_path: Path) -> None:
    for shape, dtype in (
        ((2, 3, 4, 5, 6), COMPLEX),
        ((3, 3, 3, 3, 3, 2), COMPLEX),
        ((3, 3, 3, 3, 3, 2), REAL),
    ):
        message = refusal(saved(tmp_path, np.ones(shape, dtype)))
        assert "ψ has four at most" in message
        assert "dims" not in message


def test_named_dimensions_can_be_said_as_advised(tmp_path: Path) -> None:
    for names, dtype in (
        (("lon", "lat"), COMPLEX), (("lon", "time"), COMPLEX), (("a", "b", "c", "d"), COMPLEX), (("lon", ""), COMPLEX),
        (("x", "spin"), REAL), (("t", "time"), COMPLEX), (("x", "x"), COMPLEX),
    ):  # fmt: skip
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["psi"] = np.ones((3, 2, 4, 5)[: len(names)], dtype)
            for dimension, name in zip(file["psi"].dims, names, strict=True):
                dimension.label = name
        message = refusal(f"{tmp_path}/a.h5")
        assert "by dims which is which" in message
        for options in advised(message) or [{"dims": "t,x"}]:
            assert np.prod(opens(f"{tmp_path}/a.h5", **options)) in (3, 6, 120)


def test_spacings_can_be_given_as_advised() -> None:
    bare = sources.array(np.ones((3, 8, 8, 8), complex))
    with pytest.raises(InvalidInput, match=r"spacing of axis x is not known: give box$"):
        sources.evolve(bare)
    boxed = sources.array(bare.psi, box=8.0)
    with pytest.raises(InvalidInput, match=r"3 frames need a time step: give dt$"):
        sources.evolve(boxed)
    sources.evolve(boxed, dt=0.1).close()
    with pytest.raises(InvalidInput, match=r"spacing of axis t is not known: give dt$"):
        sources.function(lambda t, x, y, z: x + t, grid=boxed.grid)
    sources.function(lambda t, x, y, z: x + t, grid=boxed.grid.with_time_step(0.1))


def test_a_member_is_named_as_advised(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", one=np.ones(4), two=np.ones(5))
    message = refusal(f"{tmp_path}/a.npz")
    (form, names) = re.findall(r"name one as (\S+):NAME; it has (.*)$", message)[0]
    assert [opens(f"{form}:{name}")[1] for name in names.split(", ")] == [4, 5]
    np.savez(tmp_path / "a.npz", psi_re=np.ones(4))
    (spec,) = re.findall(r"name it, (\S+), to take", refusal(f"{tmp_path}/a.npz"))
    assert opens(spec) == (1, 4, 1, 1)


def test_numbers_and_nothing_else_are_said_as_advised(tmp_path: Path) -> None:
    np.ones(64**3, np.complex128).tofile(tmp_path / "a.raw")
    (spec,) = re.findall(r"\S+:shape=\S+", refusal(f"{tmp_path}/a.raw"))
    assert opens(spec) == (1, 64, 64, 64)


def test_an_orbital_is_chosen_as_advised(tmp_path: Path) -> None:
    head = "a\nb\n-1 0 0 0\n2 1 0 0\n2 0 1 0\n2 0 0 1\n1 1 0 0 0\n"
    (tmp_path / "a.cube").write_text(f"{head}2 5 6\n" + "1 2\n" * 8)
    (spec,) = re.findall(r"choose one, (\S+), of", refusal(f"{tmp_path}/a.cube"))
    assert opens(spec) == (1, 2, 2, 2)
    assert "write :mo=5" in refusal(f"{tmp_path}/a.cube:orbital=5")
    assert opens(f"{tmp_path}/a.cube:mo=5") == (1, 2, 2, 2)


TEXTS: list[tuple[str, dict[str, Any], str, Callable[[str, dict[str, Any]], tuple[str, dict[str, Any]]]]] = [
    ("gaussian", {"grid": "8^3"}, "write 128, or 128x128x64", lambda s, o: (s, {"grid": "32x32x16"})),
    ("gaussian", {"box": "a"}, "write 20, or 20x20x10", lambda s, o: (s, {"box": "20x20x10", "grid": "8"})),
    ("gaussian:", {}, "write gaussian, or gaussian:parameter=value", lambda s, o: ("gaussian", {"grid": "8"})),
    ("gaussian:2", {}, "must be written as parameter=value", lambda s, o: ("gaussian:k=2", {"grid": "16"})),
    ("hydrogen", {"grid": "64x64"}, "a grid such as 64x64x64", lambda s, o: (s, {"grid": "64x64x64"})),
    ("evolve:potential=double-slit", {"grid": "64x1"}, "a grid such as 256x256",
     lambda s, o: (s, {"grid": "256x256"})),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "options", "message", "follow"), TEXTS, ids=[text[2] for text in TEXTS])
def test_states_can_be_written_as_advised(
    spec: str,
    options: dict[str, Any],
    message: str,
    follow: Callable[[str, dict[str, Any]], tuple[str, dict[str, Any]]],
) -> None:
    assert message in refusal(spec, **options)
    followed, better = follow(spec, options)
    assert opens(followed, **better)


def test_steps_are_enough_when_there_are_as_many_as_advised() -> None:
    state = sources.gaussian(sigma=1, grid=Grid.of((64,), box=(16.0,)))
    coarse = sources.evolve(state, frames=2, dt=1.0, steps=1)
    (steps,) = (int(n) for text in coarse.warnings() for n in re.findall(r"steps=(\d+)", text))
    fine = sources.evolve(state, frames=2, dt=1.0, steps=steps)
    assert not [text for text in fine.warnings() if "time step" in text]
    coarse.close()
    fine.close()


def test_an_initial_state_fits_the_grid_that_is_advised(tmp_path: Path) -> None:
    path = saved(tmp_path, np.ones((16, 8), complex))
    message = refusal(f"evolve:initial={path}", grid="64x64", box="8x8")
    (options,) = advised(message)
    assert opens(f"evolve:initial={path}", box="8x8", **options) == (1, 16, 8, 1)


def test_decoded_times_are_numbers_when_they_are_opened_as_advised(tmp_path: Path) -> None:
    data = xarray.DataArray(np.ones((3, 4)), dims=("t", "x"), name="psi")
    data = data.assign_coords(t=("t", [0.0, 1.0, 2.0], {"units": "seconds since 2020-01-01"}))
    data.to_netcdf(tmp_path / "a.nc")
    with (
        xarray.open_dataset(tmp_path / "a.nc") as decoded,
        pytest.raises(InvalidInput, match="decode_times=False"),
    ):
        sources.array(decoded["psi"])
    with xarray.open_dataset(tmp_path / "a.nc", decode_times=False, decode_timedelta=False) as numbers:
        source = sources.array(numbers["psi"])
        assert source.grid.axes[0].step == pytest.approx(1 / 2.4188843265864e-17)
        source.close()


def test_a_member_out_of_its_order_can_be_unpacked_as_advised(tmp_path: Path) -> None:
    values = np.ones((40, 3), complex)
    np.savez_compressed(tmp_path / "a.npz", psi=values)

    def backwards() -> None:
        with closing(open_source(f"{tmp_path}/a.npz")) as source:
            for number in reversed(range(40)):
                source.read(source.grid.whole if number % 2 else type(source.grid.whole)(
                    start=(0, number, 0, 0), stop=(1, number + 1, 3, 1)))  # fmt: skip

    with pytest.raises(InvalidInput, match=r"unpack it first \(numpy.savez\)"):
        backwards()
    np.savez(tmp_path / "a.npz", psi=values)
    backwards()


def test_every_extra_that_is_advised_exists() -> None:
    extras = set(metadata("qwf_async").get_all("Provides-Extra") or ())
    root = Path(qwf_async.__file__).parent
    texts = [path.read_text() for path in root.rglob("*.py")]
    named = {name for text in texts for name in re.findall(r'extra="(\w+)"|qwf_async\[(\w+)\]', text)}
    found = {one or other for one, other in named}
    assert found >= {"files", "zarr", "physics"}
    assert found <= extras


def test_usage_that_is_advised_against_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, np.ones(4, complex))
    with pytest.raises(UsageError, match="write t,x,y,z in the order of the dimensions, or name=x"):
        opens(path, dims="q")
    assert opens(path, dims="x") == (1, 4, 1, 1)
