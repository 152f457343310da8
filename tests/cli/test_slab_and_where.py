"""`--slab`, what `info` and `--dry-run` say of it, and `qwf where`, whose command redis-cli runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Server
from tests.support.command import Shell
from tests.support.loads import contents

PSI = np.arange(1, 2 * 5 * 4 * 3 + 1).reshape(2, 5, 4, 3) * (1 - 0.5j)
INGEST = ("ingest", "psi.npy", "--box", "10")


@pytest.fixture
def shell(server: Server, tmp_path: Path) -> Shell:
    """A shell where psi.npy is, and QWF_URL names an empty server."""
    np.save(tmp_path / "psi.npy", PSI)
    return Shell.at(tmp_path, QWF_URL=server.url)


@pytest.mark.parametrize(
    ("slab", "said", "groups", "chunks"),
    [
        (None, [2, 5, 4, 3], 1, 1),
        ("2x4x3x1", [1, 2, 4, 3], 6, 6),  # x, y, z, t on the command line; t, x, y, z as the shape is
        ("5", [1, 5, 1, 1], 24, 24),
        ("all", "all", 1, 1),
    ],
)
def test_what_dry_run_says_of_a_slab_is_what_info_says_and_what_is_stored(
    shell: Shell, server: Server, slab: str | None, said: list[int] | str, groups: int, chunks: int
) -> None:
    options = () if slab is None else ("--slab", slab)
    foreseen = shell.qwf(*INGEST, *options, "--dry-run", "--json")
    assert contents(server) == {}
    assert shell.qwf(*INGEST, *options, "--quiet").status == 0
    stored = shell.qwf("info", "psi", "--json")
    for outcome in (foreseen, stored):
        assert outcome.status == 0, outcome.err
        facts = json.loads(outcome.out)
        assert (facts["slab"], facts["groups"], facts["chunks"]) == (said, groups, chunks)
    assert json.loads(stored.out)["keys"] == groups
    with server.plain as client:
        assert len(client.keys("qwf:psi:{*}:s")) == len(client.keys("qwf:psi:{*}:j")) == groups
    shown = shell.qwf("info", "psi").out
    words = said if isinstance(said, str) else "×".join(map(str, said))
    assert [line.split() for line in shown.splitlines() if line.startswith(("slab", "groups"))] == [
        ["slab", words],
        ["groups", str(groups)],
    ]


REFUSED = {
    "no number": (("--slab", "big"), "--slab 'big' is no slab: write 16x16x16x4"),
    "five axes": (("--slab", "1x1x1x1x1"), "--slab '1x1x1x1x1' is no slab"),
    "nothing": (("--slab", "0x1"), "--slab '0x1' is no slab"),
    "longer than the grid": (("--slab", "6x1"), "do not fit a grid of (2, 5, 4, 3)"),
    "of packed": (("--slab", "2x2", "--layout", "packed"), "no slabs: --slab goes with --layout flat"),
    "all of tile": (("--slab", "all", "--layout", "tile"), "no slabs: --slab goes with --layout flat"),
}


@pytest.mark.parametrize("why", REFUSED)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_slab_that_cannot_be_is_a_usage_error(
    shell: Shell, server: Server, why: str, dry: tuple[str, ...]
) -> None:
    options, words = REFUSED[why]
    outcome = shell.qwf(*INGEST, *options, *dry)
    assert (outcome.status, outcome.out, len(outcome.lines)) == (2, "", 1)
    assert words in outcome.err
    assert contents(server) == {}


def test_a_slab_that_would_hold_the_server_up_is_a_usage_error(shell: Shell, server: Server) -> None:
    outcome = shell.qwf("ingest", "plane:k=1", "--grid", "512x512x2", "--slab", "512x512x1")
    assert outcome.status == 2
    assert "slabs of 262,144 points are too large for one request: at most 131,072" in outcome.err
    assert contents(server) == {}


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--slab", "2x4x3x1"),
        ("--slab", "all", "--codec", "text10"),
        ("--codec", "c8"),
        ("--layout", "packed"),
        ("--layout", "tile", "--codec", "c8"),
    ],
    ids=" ".join,
)
def test_the_command_that_where_prints_reads_the_point(shell: Shell, options: tuple[str, ...]) -> None:
    assert shell.qwf(*INGEST, *options, "--quiet").status == 0
    point = ("4", "2", "1", "--t", "1")
    told, also = shell.each(["where", "psi", *point], ["where", "psi", *point, "--json"])
    assert (told.status, told.err, also.status) == (0, "", 0)
    command, _ = told.out.splitlines()
    printed = subprocess.run(["sh", "-c", command], capture_output=True, check=True, text=True).stdout
    value = PSI[1, 4, 2, 1]
    assert [float(number) for number in printed.replace(",", " ").split()] == [value.real, value.imag]
    place = json.loads(also.out)
    asked = ["sh", "-c", place["command"]]
    stored = subprocess.run(asked, capture_output=True, check=True).stdout
    names = {"numpy": np, "value": stored}
    assert eval(place["python"], names) == value  # noqa: S307 # what was printed is what is tested


def test_where_of_a_point_outside_the_grid_is_bad_input(shell: Shell) -> None:
    assert shell.qwf(*INGEST, "--quiet").status == 0
    outside, nothing = shell.each(["where", "psi", "5"], ["where", "chi", "0"])
    assert (outside.status, nothing.status) == (7, 7)
    assert "x = 5 is outside" in outside.err
