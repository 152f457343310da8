"""Points on the command line: indices that count from the end, and physical coordinates by --at."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from qwf_async.cli.signed_words import arguments_last
from tests.conftest import new_server
from tests.support.command import Shell
from tests.support.loads import wave

PSI = wave(4, 3, 5, 2)[..., 0]
VALUED = {"--t", "-t", "--url", "-u"}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell where `free` is a plane of 16×10 points at five times, and `bare` has no axes."""
    directory = tmp_path_factory.mktemp("points")
    np.save(directory / "bare.npy", PSI)
    for server in new_server("valkey", maxmemory="1gb"):
        shell = Shell.at(directory, QWF_URL=server.url)
        packet = ("gaussian:k=2,sigma=1", "--grid", "16x10", "--box", "8x5", "--frames", "5", "--dt", "0.5")
        for outcome in shell.each(["ingest", *packet, "--name", "free"], ["ingest", "bare.npy"]):
            assert outcome.status == 0, outcome.err
        yield shell


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("get free -4", "-- get free -4"),
        ("get -4 --t -1 --json -2", "--t -1 --json -- get -4 -2"),
        ("get -qt -1 -5", "-qt -1 -- get -5"),
        ("get -t-1 -5", "-t-1 -- get -5"),
        ("get --url=x -1 -- --json", "--url=x -- get -1 --json"),
        ("slice free -1,:,0 -o -", "-o -- slice free -1,:,0 -"),
    ],
)
def test_numbers_are_arguments_and_what_options_take_stays_theirs(words: str, wanted: str) -> None:
    assert arguments_last(words.split(), VALUED) == wanted.split()


def test_an_index_below_0_counts_from_the_end(shell: Shell) -> None:
    near, far, outside, typo = shell.each(
        ["get", "free", "-4", "-3", "--t", "-1", "--json"],
        ["get", "free", "12", "7", "--t", "4", "--json"],
        ["get", "free", "-17"],
        ["get", "free", "-4", "--tim", "1"],
    )
    assert (near.status, near.err) == (0, "")
    assert json.loads(near.out) == json.loads(far.out)
    assert json.loads(near.out)[0].items() >= {"x": 12, "y": 7, "z": 0, "t": 4}.items()
    assert outside.status == 7
    assert (
        "x = -17 is outside the grid: x runs from 0 to 15; counted from the end, from -16 to -1"
        in outside.err
    )
    assert (typo.status, "No such option: --tim" in typo.err) == (2, True)


def test_coordinates_are_the_nearest_grid_point_which_is_said(shell: Shell) -> None:
    at = "x=1.9,y=0,t=0.9"
    by_index, shown, as_json, where = shell.each(
        ["get", "free", "12", "5", "--t", "2"],
        ["get", "free", "--at", at],
        ["get", "free", "--at", at, "--json"],
        ["where", "free", "--at", at],
    )
    assert shown.out == by_index.out
    assert shown.lines == ["at x = 2 bohr (index 12), y = 0 bohr (index 5), t = 1 ħ/Eh (index 2)"]
    (row,) = json.loads(as_json.out)
    assert as_json.err == ""
    assert (
        row.items() >= {"x": 12, "y": 5, "z": 0, "t": 2, "position": {"x": 2.0, "y": 0.0, "t": 1.0}}.items()
    )
    assert where.lines == shown.lines
    assert "x12_y5_z0_t2" in where.out


def test_set_changes_the_nearest_point_and_the_last_one(shell: Shell) -> None:
    changed, last, read = shell.each(
        ["set", "free", "--at", "x=-4,y=-2.5", "--value", "0.5"],
        ["set", "free", "-1", "-1", "--t", "-1", "--value", "0.25"],
        ["slice", "free", "::4,::15,::9", "--json"],
    )
    assert changed.lines == ["free at x = -4 bohr (index 0), y = -2.5 bohr (index 0) is 0.5 +0.0i now"]
    assert last.lines == ["free at x 15, y 9, z 0, t 4 is 0.25 +0.0i now"]
    values = json.loads(read.out)["re"]
    assert (values[0], values[-1]) == (0.5, 0.25)


def test_slice_takes_an_index_and_coordinates_of_other_axes(shell: Shell) -> None:
    by_index, whole, both, minus = shell.each(
        ["slice", "free", "1,:,5"],
        ["slice", "free", "--at", "t=0.5,y=0"],
        ["slice", "free", "1", "--at", "y=0"],
        ["slice", "free", "-4,:,5"],
    )
    assert len(by_index.out.splitlines()) == 16
    assert by_index.out == whole.out == both.out == minus.out
    assert both.lines == ["at y = 0 bohr (index 5)"]


def test_plot_cuts_at_a_coordinate(shell: Shell) -> None:
    drawn, by_index = shell.each(
        ["plot", "free", "--at", "y=0.4,t=2"], ["plot", "free", "--slice", "y=6", "--frame", "-1"]
    )
    assert (drawn.status, drawn.out) == (0, by_index.out)
    assert drawn.lines[0] == "at y = 0.5 bohr (index 6), t = 2 ħ/Eh (index 4)"


REFUSED: list[tuple[tuple[str, ...], int, str]] = [
    (("get", "free"), 2, "give the indices x y z of a point, or --at"),
    (("get", "free", "1", "--at", "x=1"), 2, "by its indices x y z or by --at, not by both"),
    (("get", "free", "--at", "x=1"), 2, "--at names no y: a point has all, as in y=0"),
    (("get", "free", "--at", "x=1,y=0,t=1", "--t", "1"), 2, "--t 1 and t= of --at are both a place in time"),
    (("get", "free", "--at", "x"), 2, "'x' is no position: write x=-4.0,y=0"),
    (("get", "free", "--at", "x=1,y=9"), 7, "y = 9 is outside the grid: y runs from -2.5 to 2.5 bohr"),
    (("get", "free", "--points", "x", "--at", "x=1"), 2, "--points has points of its own"),
    (("get", "bare", "--at", "x=0,y=0,z=0"), 7, "the spacing of axis x is not known"),
    (("slice", "free"), 2, "give an index, as in 0,10:20,:,64, or --at"),
    (("slice", "free", "0", "--at", "t=0"), 2, "t is in the index and in --at"),
]


def test_what_is_no_position_is_refused(shell: Shell) -> None:
    outcomes = shell.each(*(arguments for arguments, _, _ in REFUSED))
    for (arguments, status, words), outcome in zip(REFUSED, outcomes, strict=True):
        assert (outcome.status, outcome.out) == (status, ""), arguments
        assert words in outcome.err, outcome.err
