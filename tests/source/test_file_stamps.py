"""Every file that a value can come from is part of a source's fingerprint, and is looked at again at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import zarr

from qwf_async.errors import InvalidInput
from qwf_async.source import open_source
from tests.conftest import Server
from tests.support.loads import contents, refusal, wave

PSI = wave(2, 4, 3, 5)

Change = Callable[[], object]


def touch(path: Path) -> None:
    """Another time of change, though all bytes are as they were."""
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


def printed(source: str) -> str:
    with closing(open_source(source)) as opened:
        return opened.fingerprint()


def zarr_group(path: Path) -> str:
    """ψ with a coordinate in a group in a group, and an array beside it that has nothing to do with it."""
    group = zarr.open_group(path / "all.zarr", mode="w").create_group("run/7")
    group.create_array("psi", data=PSI, chunks=(1, 2, 3, 5), dimension_names=("t", "x", "y", "z"))
    group.create_array("x", data=np.arange(4.0), dimension_names=("x",))
    group.create_array("other", data=PSI.real)
    return f"{path}/all.zarr:run/7/psi"


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("run/7/psi/c/1/0/0/0", True),
        ("run/7/psi/zarr.json", True),
        ("run/7/x/c/0", True),
        ("run/7/zarr.json", True),
        ("zarr.json", True),
        ("run/7/other/c/0/0/0/0", False),
    ],
)
def test_a_zarr_array_is_known_by_its_own_files_those_of_its_coordinates_and_of_its_groups(
    tmp_path: Path, name: str, counts: bool
) -> None:
    source = zarr_group(tmp_path)
    before = printed(source)
    touch(tmp_path / "all.zarr" / name)
    assert (printed(source) != before) == counts


def test_chunks_of_zarr_behind_a_link_count_too(tmp_path: Path) -> None:
    source = zarr_group(tmp_path)
    blocks = tmp_path / "all.zarr/run/7/psi/c"
    blocks.rename(tmp_path / "elsewhere")
    blocks.symlink_to(tmp_path / "elsewhere")
    before = printed(source)
    touch(tmp_path / "elsewhere/1/0/0/0")
    assert printed(source) != before
    (tmp_path / "elsewhere/1/0/0/0").unlink()
    (tmp_path / "elsewhere/1/0/0/0").symlink_to("nowhere")
    with pytest.raises(InvalidInput, match=r"c/1/0/0/0 is gone"):
        open_source(source)


def test_a_fingerprint_is_the_same_in_every_process(tmp_path: Path) -> None:
    """As `--resume` needs it, though the order of a set is not."""
    source = zarr_group(tmp_path)
    script = (
        "import sys; from qwf_async.source import open_source; print(open_source(sys.argv[1]).fingerprint())"
    )
    for seed in ("1", "2", "3"):
        ran = subprocess.run(
            [sys.executable, "-c", script, source],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )
        assert ran.stdout.strip() == printed(source)


@pytest.mark.anyio
@pytest.mark.usefixtures("small_chunks", "time_to_settle")
async def test_what_was_changed_after_the_last_read_is_not_published(server: Server, tmp_path: Path) -> None:
    """The file is replaced while the last values are on their way."""
    np.savez(tmp_path / "psi.npz", psi=PSI)
    source = open_source(f"{tmp_path}/psi.npz")

    class Replaced:
        spec, grid, order, close = source.spec, source.grid, source.order, source.close
        fingerprint, check_unchanged = source.fingerprint, source.check_unchanged  # type: ignore[attr-defined] # of VariableSource

        def read(self, box: object) -> object:
            values = source.read(box)  # type: ignore[arg-type] # as it was asked for
            np.savez(tmp_path / "psi.npz", psi=-PSI)
            touch(tmp_path / "psi.npz")
            return values

    with closing(source):
        error = await refusal(Replaced(), server)  # type: ignore[arg-type] # a Source by its methods
    assert isinstance(error, InvalidInput)
    assert "psi.npz was changed while it was read: start again" in str(error)
    assert contents(server) == {}
