"""Files that are no spool of ours or in use by another process: they are refused, and stay as they are."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from qwf_async.errors import DamagedData, InvalidInput, Refused
from qwf_async.spool import SpoolFile, spool_path, spools
from tests.conftest import PATIENCE
from tests.support.spool_processes import (
    GENERATION,
    HEAD,
    LIMIT,
    chunks_of,
    filled,
    numbered,
    process,
)


def test_a_second_process_is_refused_even_after_the_heads_were_read(path: Path) -> None:
    with closing(SpoolFile.create(path, HEAD, limit=LIMIT)) as spool:
        spool.put([numbered(1)])
        assert [found.head for found in spools(path.parent)] == [HEAD]
        with process("hold", path.parent) as other:
            out, _ = other.communicate(timeout=PATIENCE)
        assert out.startswith("Refused the spool")
        assert "is in use by another process" in out
        with pytest.raises(Refused, match="in use"):
            SpoolFile.open(path, limit=LIMIT)
        spool.put([numbered(2)])
        assert chunks_of(spool) == [1, 2]
    with process("hold", path.parent) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Refused, match="in use"):
            SpoolFile.open(path, limit=LIMIT)
        with pytest.raises(Refused, match="exists already"):
            SpoolFile.create(path, HEAD, limit=LIMIT)
        other.communicate("", timeout=PATIENCE)
    SpoolFile.open(path, limit=LIMIT).close()


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE batches (id)")


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 3")


def newer_head(path: Path) -> None:
    head = path.with_suffix(".json")
    head.write_text(json.dumps(json.loads(head.read_text()) | {"format": 3}))


def older_head(path: Path) -> None:
    head = path.with_suffix(".json")
    head.write_text(json.dumps(json.loads(head.read_text()) | {"format": 1}))


def flipped_head(path: Path) -> None:
    head = path.with_suffix(".json")
    head.write_text(head.read_text().replace('"name": "psi"', '"name": "psj"'))


DAMAGES = {
    "foreign": (foreign, "another program"),
    "newer": (newer, "update it"),
    "newer head": (newer_head, "update it"),
    "older head": (older_head, "older format version 1.*move it away"),
    "flipped head": (flipped_head, "checksum"),
    "no head": (lambda path: path.with_suffix(".json").unlink(), "missing"),
    "head is a list": (lambda path: path.with_suffix(".json").write_text("[1]"), "no head"),
    "head is deep": (lambda path: path.with_suffix(".json").write_text("[" * 100_000), "no head"),
    "garbage": (lambda path: path.write_bytes(random.Random(1).randbytes(300_000)), "not a database"),
    "empty": (lambda path: path.write_bytes(b""), "another program"),
    "cut": (lambda path: os.truncate(path, 70_000), "malformed"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_spool_of_ours_is_named_and_left_as_it_is(path: Path, damage: str) -> None:
    filled(path, range(3))
    spoil, why = DAMAGES[damage]
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(DamagedData, match=why) as raised:
        SpoolFile.open(path, limit=LIMIT)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert path.read_bytes() == before
    assert not Path(f"{path}-wal").exists()


def test_files_are_the_users_alone(path: Path) -> None:
    with closing(SpoolFile.create(path, HEAD, limit=LIMIT)) as spool:
        spool.put([numbered(1)])
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert modes == dict.fromkeys([path.name, f"{GENERATION}.json", f"{path.name}-wal"], 0o600)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        spool.delete()
    assert list(path.parent.iterdir()) == []


def test_spools_are_found_by_server_and_name_and_damaged_ones_are_told(tmp_path: Path) -> None:
    assert spools(tmp_path / "none") == []
    filled(spool_path(tmp_path, GENERATION), range(1))
    lost = spool_path(tmp_path, "0" * 16)
    lost.write_bytes(b"")
    (tmp_path / "notes.spool").write_text("not ours")
    for wanted, count in (({}, 1), ({"name": "psi", "server": "unix:///s"}, 1), ({"name": "phi"}, 0)):
        found = spools(tmp_path, **wanted)
        assert [item.head for item in found if item.head] == [HEAD] * count
        assert [item.path for item in found if item.problem] == [lost]
    with pytest.raises(InvalidInput):
        spool_path(tmp_path, "../../etc/passwd")
