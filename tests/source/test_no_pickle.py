"""Code in a file never runs: pickles are refused, whatever the name of the file."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from tests.conftest import Server
from tests.support.command import Shell


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_no_code_in_a_npy_file_runs(server: Server, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    bomb = np.empty((2, 2), dtype=object)
    bomb.fill(Bomb(ran))
    np.save(tmp_path / "objects.npy", bomb, allow_pickle=True)
    np.savez(tmp_path / "inside.npz", bomb)
    (tmp_path / "inside.npz").rename(tmp_path / "archive.npy")
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(Bomb(ran)))
    header = f"{{'descr': __import__('pathlib').Path({str(ran)!r}).touch(), 'fortran_order': False, 'shape': (1,)}}\n"
    file = io.BytesIO(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    (tmp_path / "header.npy").write_bytes(file.getvalue() + bytes(16))
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    names = [f"{name}.npy" for name in ("objects", "archive", "pickle", "header")]
    outcomes = shell.several([(["ingest", name], {}) for name in names])
    for name, outcome in zip(names, outcomes, strict=True):
        assert outcome.status == 7, (name, outcome.err)
        assert outcome.err.count("\n") == 1
        assert name in outcome.err
    assert not ran.exists()
    pickle.loads((tmp_path / "pickle.npy").read_bytes())  # noqa: S301 # our own: it would have run
    assert ran.exists()
    assert server.contents() == {}
