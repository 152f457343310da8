"""SOURCE on the command line: the source of each text, and the message for a text that names none."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwf_async.errors import InvalidInput, UsageError
from qwf_async.lattice.grid import Grid
from qwf_async.source import (
    Source,
    box,
    coherent,
    default_name,
    function,
    gaussian,
    harmonic,
    hydrogen,
    open_source,
    plane,
)
from qwf_async.source.analytic import STATES
from qwf_async.source.arguments import arguments

LINE = Grid.of((64,))

MEANINGS: dict[str, Callable[[], Source]] = {
    "hydrogen": lambda: hydrogen(1, 0, 0),
    "hydrogen:n=3,l=2,m=1": lambda: hydrogen(3, 2, 1),
    "hydrogen:n=2,l=1,m=-1,Z=1.5": lambda: hydrogen(2, 1, -1, Z=1.5),
    "gaussian:k=2,sigma=1": lambda: gaussian(k=2, sigma=1),
    "gaussian:k=2x0x-1.5": lambda: gaussian(k=(2, 0, -1.5)),
    "gaussian:kx=2,kz=-1.5,x0=1,y0=-2": lambda: gaussian(k=(2, 0, -1.5), x0=(1, -2)),
    "gaussian:x0=1e-1,sigmax=1,sigmay=2,sigmaz=.5": lambda: gaussian(x0=0.1, sigma=(1, 2, 0.5)),
    "plane:k=1x-2": lambda: plane(k=(1, -2)),
    "plane:ky=3": lambda: plane(k=(0, 3)),
    "box": lambda: box(1),
    "box:n=2": lambda: box((2, 1, 1)),
    "box:n=1x2x1": lambda: box((1, 2, 1)),
    "box:nx=1,ny=2,nz=1": lambda: box((1, 2, 1)),
    "box:n=1+2": lambda: box({1: 1, 2: 1}),
    "box:n=1:0.6+2:0.8j": lambda: box({1: 0.6, 2: 0.8j}),
    "box:n=1:0.6+2:0.8i": lambda: box({1: 0.6, 2: 0.8j}),
    "box:n=1:1e+0+2:1-2j+2:1": lambda: box({1: 1, 2: 2 - 2j}),
    "box:n=1x2+2x1:-1": lambda: box({(1, 2): 1, (2, 1): -1}),
    "box:nx=1+2,nz=1+3:2": lambda: box({(1, 1, 1): 1, (2, 1, 1): 1, (1, 1, 3): 2, (2, 1, 3): 2}),
    "harmonic:n=2,omega=0.5": lambda: harmonic(2, omega=0.5),
    "harmonic:nx=1,nz=2,omega=1x2x3": lambda: harmonic((1, 0, 2), omega=(1, 2, 3)),
    "harmonic:n=0+1": lambda: harmonic({0: 1, 1: 1}),
    "coherent:alpha=2": lambda: coherent(alpha=2),
    "coherent:alpha=1-2jx1ix0,omega=2": lambda: coherent(alpha=(1 - 2j, 1j, 0), omega=2),
    "coherent:alphay=1+1j": lambda: coherent(alpha=(0, 1 + 1j)),
}


@pytest.mark.parametrize(("text", "meant"), MEANINGS.items(), ids=MEANINGS.keys())
def test_text_means_the_state_that_python_makes(text: str, meant: Callable[[], Source]) -> None:
    assert open_source(text) == meant()


@pytest.mark.parametrize("meant", MEANINGS.values(), ids=MEANINGS.keys())
def test_spec_is_read_back_to_the_same_source(meant: Callable[[], Source]) -> None:
    source = meant()
    again = open_source(source.spec)
    assert again == source
    assert again.fingerprint() == source.fingerprint()
    assert not set(source.spec) & set(" *?[]()$&;|<>'\"\\!`~#{}"), "a shell must leave it alone"


numbers = st.floats(-1e6, 1e6)


@settings(max_examples=50, deadline=None)
@given(
    k=st.tuples(numbers, numbers, numbers),
    sigma=st.floats(1e-3, 1e3),
    terms=st.dictionaries(
        st.tuples(*[st.integers(1, 63)] * 3),
        st.complex_numbers(min_magnitude=1e-3, max_magnitude=1e3),
        min_size=1,
        max_size=4,
    ),
)
def test_any_value_survives_being_written(k: Any, sigma: float, terms: Any) -> None:
    for source in (gaussian(k=k, sigma=sigma, x0=k), box(terms)):
        assert open_source(source.spec) == source


@pytest.mark.parametrize(
    ("options", "grid"),
    [
        ({}, Grid.cube(64)),
        ({"grid": "16"}, Grid.cube(16)),
        ({"grid": "512x64"}, Grid.of((512, 64))),
        ({"grid": "32x1x1"}, Grid.of((32,))),
        ({"grid": "8x9x10", "box": "20"}, Grid.of((8, 9, 10), box=(20,))),
        ({"grid": "8x9x10", "box": "20x1e1x0.5"}, Grid.of((8, 9, 10), box=(20, 10, 0.5))),
        ({"box": "4.5"}, Grid.cube(64, box=4.5)),
        ({"grid": "8", "box": "2", "frames": 5, "dt": 0.1}, Grid.cube(8, box=2, frames=5, dt=0.1)),
    ],
)
def test_options_describe_the_grid(options: dict[str, Any], grid: Grid) -> None:
    assert open_source("gaussian", **options) == gaussian(grid=grid)


def test_the_walls_of_a_box_are_at_zero_and_its_extent() -> None:
    grid = open_source("box:n=2", grid="10x10", box="5").grid
    assert [(a.origin, a.step) for a in grid.axes[1:3]] == [(0.0, 0.5)] * 2


@pytest.mark.parametrize("text", ["abc", "", "64x", "x64", "64.5", "64,64", "64 64", "٣", "6" * 30, "1e3"])
def test_text_that_is_no_grid_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="is no grid"):
        open_source("gaussian", grid=text)


@pytest.mark.parametrize("text", ["abc", "", "20x", "1,2", "20bohr"])
def test_text_that_is_no_box_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="is no box"):
        open_source("gaussian", box=text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": "0"}, "axis x of the grid has 0 points"),
        ({"grid": "-8"}, "axis x of the grid has -8 points"),
        ({"grid": "8x8x-1"}, "axis z of the grid has -1 points"),
        ({"grid": "2x2x2x2"}, "1 to 3 spatial sizes, got 4"),
        ({"grid": "999999999999999999"}, "beyond what can be counted"),
        ({"frames": 0}, "axis t of the grid has 0 points"),
        ({"frames": -1}, "axis t"),
        ({"frames": 2, "dt": 0.0}, "axis step 0.0"),
        ({"dt": math.nan}, "axis step nan"),
        ({"box": "0"}, "extent of axis x is 0.0"),
        ({"box": "-5"}, "extent of axis x is -5"),
        ({"box": "nan"}, "extent of axis x is nan"),
        ({"box": "inf"}, "extent of axis x is inf"),
        ({"box": "1x2"}, "2 extents given for a grid of 3 dimensions"),
    ],
)
def test_an_impossible_grid_is_bad_input(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        open_source("gaussian", **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hydrogn", r"unknown source 'hydrogn' \(did you mean hydrogen\?\).*box, coherent, gaussian"),
        ("hydrogn:n=3", r"did you mean hydrogen\?"),
        ("gauss:k=1", r"did you mean gaussian\?"),
        ("redis-hash:KEY", "redis-hash:KEY is on a server, and is opened with one"),
        ("", "unknown source ''"),
        (":", "unknown source ':'"),
        ("hydrogen:", "ends in a colon"),
        ("hydrogen:3", "'3' must be written as parameter=value"),
        ("hydrogen:n", "'n' must be written as parameter=value"),
        ("hydrogen:n=3,n=4", "n is given twice"),
        ("hydrogen:q=1", r"hydrogen has no parameter 'q'; it takes n \(a whole number\), l \(a whole"),
        ("hydrogen:n=abc", "hydrogen: n=abc cannot be read; n is a whole number"),
        ("hydrogen:n=1.5", "n is a whole number"),
        ("hydrogen:n=", "n is a whole number"),
        ("hydrogen:nx=2", "n is a whole number"),
        ("hydrogen:Z=x", "Z is a number"),
        ("hydrogen:n=" + "9" * 5000, "n is a whole number"),
        ("hydrogen:n=2,l=2", "l=2 must be from 0"),
        ("gaussian:sigma=0", "sigma=0x0x0 must be above 0"),
        ("gaussian:k=1,kx=2", "k is given both for all axes and axis by axis"),
        ("gaussian:sigmax=1,sigmaz=1", "cannot be read; sigma is a number"),
        ("gaussian:x0=1x2,y0=3", "cannot be read; x0 is a number"),
        ("gaussian:k=nan", "k=nan.* must be finite"),
        ("gaussian:k=1x2x3x4", "k=1x2x3x4 has 4 values"),
        ("gaussian:L=3", "points and extents are given by grid, box, frames and dt"),
        ("gaussian:grid=3", "no parameter 'grid'"),
        ("plane:k=0.5", "k is a whole number, or one an axis as in 3x0x-1"),
        ("box:n=1+", "n is quantum numbers such as 1, 1x2x1"),
        ("box:n=1:", "n is quantum numbers"),
        ("box:n=1:a", "n is quantum numbers"),
        ("box:nx=1x2,ny=1", "n is quantum numbers"),
        ("box:n=0", "n = 0 along x must be from 1"),
        ("box:n=1:inf", "coefficients of a superposition must be finite"),
        ("coherent:alpha=one", "alpha is a complex number"),
        ("no_such_module:psi", r"unknown source 'no_such_module:psi'.*No module named"),
        ("math:no_such_name", "math:no_such_name cannot be imported: AttributeError"),
        ("math:pi", "math:pi is not a function"),
        ("none.npy", "none.npy cannot be opened: No such file"),
        ("./none", "./none cannot be opened: No such file"),
    ],
)
def test_bad_text_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        open_source(text)
    assert "\n" not in str(caught.value)


IMPOSSIBLE: list[tuple[Callable[[], object], str]] = [
    (lambda: hydrogen(0), "n=0 must be from 1"),
    (lambda: hydrogen(61), "n=61"),
    (lambda: hydrogen(2, 2), "l=2 must be from 0 to n-1"),
    (lambda: hydrogen(2, -1), "l=-1"),
    (lambda: hydrogen(2, 1, -2), "m=-2 must be from -l to l"),
    (lambda: hydrogen(Z=0), "Z=0 must be above 0"),
    (lambda: hydrogen(Z=-1), "Z=-1 must be above 0"),
    (lambda: hydrogen(Z=math.nan), "Z=nan must be finite"),
    (lambda: hydrogen(grid=Grid.of((8, 8))), "three dimensions"),
    (lambda: gaussian(sigma=0), "sigma=.* must be above 0"),
    (lambda: gaussian(sigma=(1, -1, 1)), "sigma=1x-1x1 must be above 0"),
    (lambda: gaussian(sigma=(1, 1)), "sigma=1x1 has 2 values"),
    (lambda: gaussian(k=math.inf), "k=inf.* must be finite"),
    (lambda: gaussian(k=(1, 2), grid=LINE), "k=1x2 has 2 values, but the grid has 1 dim"),
    (lambda: gaussian(x0=1e300), "x0=.* at most 1e\\+50"),
    (lambda: gaussian(grid=Grid.of((1, 64))), "at least 2 points"),
    (lambda: gaussian(grid=Grid.cube(1)), "at least 2 points"),
    (lambda: plane(k=33), "k=33 needs 66 points"),
    (lambda: box(0), "n = 0 along x must be from 1 to 63"),
    (lambda: box((1, 64)), "n = 64 along y must be from 1 to 63"),
    (lambda: box((1, 2), grid=LINE), "n=1x2 is too long"),
    (lambda: box({1: 1, (1, 1, 1): -1}), "not all 0"),  # both name one state
    (lambda: box({1: math.nan}), "finite"),
    (lambda: box({}), "not all 0"),
    (lambda: harmonic(-1), "n = -1 along x must be from 0"),
    (lambda: harmonic(501), "n = 501"),
    (lambda: harmonic(omega=0), "omega=.* must be above 0"),
    (lambda: coherent(alpha=complex(1, math.nan)), "alpha=.* must be finite"),
    (lambda: coherent(omega=-1), "omega=.* must be above 0"),
]


@pytest.mark.parametrize(("make", "message"), IMPOSSIBLE, ids=[m for _, m in IMPOSSIBLE])
def test_impossible_states_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_missing_parameter_is_named() -> None:
    def needy(n: int, x0: float = 0.0, *, grid: Grid | None = None) -> Source:
        return hydrogen(n, grid=grid)

    assert arguments("needy", needy, "n=3") == {"n": 3}
    with pytest.raises(InvalidInput, match="needy: n is missing: give a whole number"):
        arguments("needy", needy, "x0=1")


@pytest.mark.parametrize("name", STATES)
def test_every_state_needs_no_parameters(name: str) -> None:
    source = open_source(name, grid="16")
    psi = source.read(source.grid.whole)
    assert psi.shape == (1, 16, 16, 16)
    assert np.isfinite(psi).all()


def test_a_file_is_told_by_its_name_or_by_being_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    values = 1j * np.arange(6.0).reshape(2, 3)
    np.save("psi.npy", values)
    Path("psi.npy").rename("state")
    np.save("other.npy", values)
    Path("hydrogen").write_text("not this one")
    for text in ("state", "other.npy", "./other.npy", str(tmp_path / "state")):
        with closing(open_source(text, box="4x6", dt=0.5)) as source:
            assert source.grid == Grid.of((2, 3), box=(4, 6), dt=0.5)
            assert source.spec == text
    assert open_source("hydrogen") == hydrogen()
    with pytest.raises(InvalidInput, match=r"\./hydrogen is text, and no Gaussian cube"):
        open_source("./hydrogen")
    with pytest.raises(InvalidInput, match="is a directory, and no Zarr hierarchy"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("options", [{"grid": "64"}, {"frames": 2}])
def test_a_file_has_its_own_points(tmp_path: Path, options: dict[str, Any]) -> None:
    np.save(tmp_path / "psi.npy", np.ones(4))
    with pytest.raises(UsageError, match="cannot be given for"):
        open_source(str(tmp_path / "psi.npy"), **options)


def test_a_function_is_found_in_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("own_states.py").write_text(
        "class States:\n    @staticmethod\n    def psi(t, x, y, z):\n        return x + 1j * y\n"
    )
    try:
        source = open_source("own_states:States.psi", grid="4", box="4")
        module = sys.modules["own_states"]
    finally:
        sys.modules.pop("own_states", None)
    assert source.spec == "own_states:States.psi"
    expected = function(module.States.psi, grid=Grid.cube(4, box=4))
    np.testing.assert_array_equal(source.read(source.grid.whole), expected.read(source.grid.whole))
    assert source.read(source.grid.whole)[0, 3, 1, 0] == 1 - 1j


def test_a_module_that_fails_is_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("broken_states.py").write_text("raise ValueError('one\\ntwo')\n")
    with pytest.raises(InvalidInput, match=r"broken_states:psi cannot be imported: ValueError: one$"):
        open_source("broken_states:psi")


def test_a_function_without_a_box_is_told_what_to_give() -> None:
    with pytest.raises(InvalidInput, match="math:hypot: the spacing of axis x is not known: give box"):
        open_source("math:hypot")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hydrogen:n=3,l=2,m=1", "hydrogen"),
        ("gaussian", "gaussian"),
        ("psi.npy", "psi"),
        ("/data/run 7/ψ final.v2.npy", "--final.v2"),
        ("a/b:c.npy", "b-c"),
        ("states.mine:psi", "states.mine"),
        ("x" * 200 + ".npy", "x" * 128),
    ],
)
def test_the_default_name_is_the_first_word(text: str, name: str) -> None:
    assert default_name(text) == name


def test_sources_import_numpy_and_nothing_heavier() -> None:
    script = (
        "import sys; import qwf_async.source\n"
        "qwf_async.source.source_of([1.0, 1j])\n"
        "heavy = {'redis', 'anyio', 'uvloop', 'scipy', 'typer', 'xxhash', 'msgspec', 'matplotlib'}\n"
        "heavy |= {'qutip', 'qiskit', 'xarray', 'dask', 'h5py', 'zarr'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert ran.stdout.strip() == "[]"


def test_the_initial_state_of_an_evolution_is_read_from_any_file(tmp_path: Path) -> None:
    values = np.exp(-(np.linspace(-3, 3, 16) ** 2))[:, None] * np.ones(2)
    np.save(tmp_path / "psi.npy", values)
    np.savez(tmp_path / "psi.npz", psi=values * 1j, other=1.0)
    text = f"evolve:initial={tmp_path}/psi.npy"
    with pytest.raises(InvalidInput, match="re and im, or two points"):
        open_source(text, grid="16x2", box="6x1", frames=2, dt=0.1)
    with closing(open_source(text, grid="16x2", box="6x1", frames=2, dt=0.1, dims="x,y")) as source:
        assert source.grid.shape == (2, 16, 2, 1)
        np.testing.assert_allclose(source.read(source.grid.whole)[0, :, :, 0], values)
    with closing(
        open_source(f"evolve:initial={tmp_path}/psi.npz:psi", grid="16x2", box="6x1", frames=2, dt=0.1)
    ) as source:
        np.testing.assert_allclose(source.read(source.grid.whole)[0, :, :, 0], values * 1j)
    with pytest.raises(UsageError, match="its initial state is no file"):
        open_source("evolve:k=1", grid="16", box="6", frames=2, dt=0.1, dims="x")
