"""Bad input: one line, exit code 7, and the server is as it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Server
from tests.support.command import Shell
from tests.support.ingest_rig import CHUNKS, Rig, new_rig
from tests.support.loads import (
    ask,
    contents,
)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    yield from new_rig(tmp_path_factory)


BAD: dict[str, tuple[list[str], str]] = {
    "a name with a space": (["psi.npy", "--name", "a b"], "name 'a b' may hold only"),
    "a directory": (["folder.npy"], "folder.npy"),
    "a header that promises too much": (["boastful.npy"], "boastful.npy is cut short"),
    "values with fields": (["fields.npy"], "fields.npy holds records of mass, spin"),
    "not a number, late, in buckets": (
        ["late.npy", "--layout", "packed", "--name", "late-in-buckets"],
        "NaN or infinity, first at t = 0, x = 5",
    ),
    "not a number, late, in tiles": (
        ["late.npy", "--layout", "tile", "--name", "late-in-tiles"],
        "NaN or infinity, first at t = 0, x = 5",
    ),
    "not a number, late, in place of what is stored": (
        ["late.npy", "--name", "kept", "--overwrite"],
        "NaN or infinity, first at t = 0, x = 5",
    ),
}


def test_bad_input_is_one_line_and_exit_code_7_and_leaves_the_server_as_it_was(
    own_server: Server, rig: Rig, tmp_path: Path
) -> None:
    psi = np.load(rig.shell.directory / "psi.npy")
    assert len(psi) == CHUNKS
    np.save(tmp_path / "psi.npy", psi[0, :, :100])
    psi[5, 0, -1] = np.nan
    np.save(tmp_path / "late.npy", psi)
    (tmp_path / "folder.npy").mkdir()
    with (tmp_path / "boastful.npy").open("wb") as file:
        header = {"descr": "<c16", "fortran_order": False, "shape": (10**9,)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(160))
    np.save(tmp_path / "fields.npy", np.zeros(3, [("mass", float), ("spin", int)]))
    ask(own_server, "CONFIG", "SET", "maxmemory", "1gb")  # or ingest would say that there is no limit
    ask(own_server, "SET", "another's", "value")
    shell = Shell.at(tmp_path, QWF_URL=own_server.url)
    assert shell.qwf("ingest", "psi.npy", "--name", "kept").status == 0
    before, keys = contents(own_server), ask(own_server, "DBSIZE")

    outcomes = shell.several([(["ingest", *line], {}) for line, _ in BAD.values()])
    for (case, (_, says)), outcome in zip(BAD.items(), outcomes, strict=True):
        assert outcome.status == 7, (case, outcome)
        assert re.search(re.escape(says), outcome.err), (case, outcome)
        assert len(outcome.lines) == 1, (case, outcome)
        assert outcome.err.endswith("(exit 7)\n")
        assert outcome.out == ""
    assert ask(own_server, "DBSIZE") == keys
    assert contents(own_server) == before
