"""`-` as a source: npy on standard input, stored by real processes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Server
from tests.support.command import TIMEOUT, Outcome, Shell
from tests.support.loads import wave

PSI = wave(2, 7, 6, 5)


def saved(values: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def piped(shell: Shell, content: bytes | None, *arguments: str) -> Outcome:
    """`qwf ARGUMENTS` with this on standard input; with None it is closed."""
    command: Sequence[str] = [sys.executable, "-m", "qwf_async", *arguments]
    if content is None:
        command = ["sh", "-c", 'exec "$@" <&-', "sh", *command]
    ran = subprocess.run(
        command,
        input=content,
        capture_output=True,
        check=False,
        timeout=TIMEOUT,
        cwd=shell.directory,
        env=dict(shell.environment),
    )
    return Outcome(status=ran.returncode, out=ran.stdout.decode(), err=ran.stderr.decode())


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_on_standard_input_is_stored_and_known_again(tmp_path: Path, server: Server, order: Any) -> None:
    shell = Shell.at(tmp_path, QWF_URL=server.url, TMPDIR=str(tmp_path))
    content = saved(np.asarray(PSI, order=order))
    first = piped(shell, content, "ingest", "-", "--layout", "tile", "--verify")
    assert (first.status, "stored stdin" in first.err) == (0, True)
    assert os.listdir(tmp_path) == []
    again = piped(shell, content, "ingest", "-", "--layout", "tile", "--resume")
    assert (again.status, "stored already" in again.err) == (0, True)
    other = piped(shell, saved(2 * PSI), "ingest", "-", "--layout", "tile", "--resume")
    assert other.status == 8
    assert shell.qwf("export", "stdin", "out.npy").status == 0
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), PSI)


def test_what_cannot_be_taken_from_standard_input_is_said(tmp_path: Path, server: Server) -> None:
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    for content, said in (
        (None, "standard input"),
        (b"", "standard input is not a .npy file: it is empty"),
        (b"1 2 3\n", "standard input is not a .npy file: it begins with b'1 2 "),
        (saved(PSI)[:-1], "standard input is cut short"),
    ):
        ran = piped(shell, content, "ingest", "-")
        assert (ran.status, said in ran.err, len(ran.lines)) == (7, True, 1), ran.err
    status, said = shell.on_terminal("ingest", "-")
    assert (status, "standard input, which is a terminal" in said) == (7, True)
    with server.plain as client:
        assert client.dbsize() == 0


def test_standard_input_needs_memory_for_a_piece(tmp_path: Path) -> None:
    """A pipe of 256 MiB; the file that it goes to lies in the test's own directory."""
    script = (
        "import sys; from qwf_async.source import npy\n"
        "def anonymous(): return int(next(l for l in open('/proc/self/status') if 'RssAnon' in l).split()[1])\n"
        "import xxhash; before = anonymous(); source = npy('-'); print(anonymous() - before, source.grid.points)"
    )
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, numpy as np; out = sys.stdout.buffer\n"
            "np.lib.format.write_array_header_1_0(out, {'descr': '<c16', 'fortran_order': False, 'shape': (2**24,)})\n"
            "for _ in range(256): out.write(bytes(2**20))",
        ],
        stdout=subprocess.PIPE,
    )
    with writer:
        ran = subprocess.run(
            [sys.executable, "-c", script],
            stdin=writer.stdout,
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
    grown, points = map(int, ran.stdout.split())
    assert points == 2**24
    assert grown < 16 * 1024
