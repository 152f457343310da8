"""A spool without room: what does not fit is not in the file, and it goes on when there is room."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from qwf_async.errors import SpoolFull
from qwf_async.spool import SpoolFile, spool_path
from tests.conftest import PATIENCE
from tests.support.spool_processes import (
    GENERATION,
    HEAD,
    LIMIT,
    chunks_of,
    numbered,
    process,
)


def test_what_does_not_fit_the_limit_is_not_in_the_file(path: Path) -> None:
    size = numbered(0).values.nbytes + numbered(1).values.nbytes + 1000
    with closing(SpoolFile.create(path, HEAD, limit=size)) as spool:
        spool.put([numbered(0), numbered(1)])
        with pytest.raises(SpoolFull, match=r"is full: .* bring the server back"):
            spool.put([numbered(0)])
        assert [batch.chunk for _, batch in spool.rows(LIMIT)] == [0, 1]
        spool.remove([1])
        with pytest.raises(SpoolFull, match="is full"):
            spool.put([numbered(0), numbered(1)])  # of which the first would fit
    with closing(SpoolFile.open(path, limit=size)) as spool:
        assert spool.chunks == {1}
        spool.put([numbered(0)])
        assert chunks_of(spool) == [1, 0]
    with closing(SpoolFile.open(path, limit=100)) as spool, pytest.raises(SpoolFull, match="does not fit"):
        spool.put([numbered(0)])


@pytest.mark.parametrize("limit", [300_000, 4_000_000, 9_000_000])
def test_a_full_disk_is_refused_and_the_same_file_goes_on_when_there_is_room(
    tmp_path: Path, path: Path, limit: int
) -> None:
    with process("starve", path.parent, limit) as begun:
        out, _ = begun.communicate(timeout=PATIENCE)
        assert begun.returncode == 0
    check_acks(path, out)


def check_acks(path: Path, out: str) -> None:
    """What a starved process put is there, all of it and nothing else."""
    lines = out.splitlines()
    refused = [line for line in lines if line.startswith("full")]
    assert len(refused) == 3
    assert all("make room on its disk" in line for line in refused)
    put = [int(chunk) for line in lines if not line.startswith("full") for chunk in line.split()]
    with closing(SpoolFile.open(path, limit=LIMIT)) as spool:
        assert chunks_of(spool) == put
        assert not spool.quarantined


def test_a_small_file_system_that_is_full_is_refused_until_there_is_room(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        return  # only root may mount; the limit on the size of files does the same for others
    try:
        path = spool_path(place / "spool", GENERATION)
        ballast = place / "ballast"
        ballast.write_bytes(bytes(3 << 20))
        put: list[int] = []
        with closing(SpoolFile.create(path, HEAD, limit=LIMIT)) as spool:
            for chunk in range(200):
                try:
                    spool.put([numbered(chunk)])
                except SpoolFull:
                    break
                put.append(chunk)
            assert 0 < len(put) < 200
            ballast.unlink()
            spool.put([numbered(200)])
            assert chunks_of(spool) == [*put, 200]
        with closing(SpoolFile.open(path, limit=LIMIT)) as spool:
            spool.delete()
        ballast.write_bytes(bytes(free_bytes(place)))
        with pytest.raises(SpoolFull, match="make room"):
            SpoolFile.create(path, HEAD, limit=LIMIT)
        assert [file.name for file in path.parent.iterdir()] == []
    finally:
        subprocess.run(["umount", place], check=True)


def free_bytes(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize
