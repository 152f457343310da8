"""Files that do not answer: a pipe among them is refused, and a read that never returns does not hold the process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import zarr

from tests.conftest import Server, new_server
from tests.support.command import Shell
from tests.support.waiting import wait_until

FRAMES = 8


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    yield from new_server("valkey")


@pytest.fixture
def shell(server: Server, tmp_path: Path) -> Shell:
    return Shell.at(tmp_path, QWF_URL=server.url, QWF_DRAIN_TIMEOUT="0.5")


def write_zarr(path: Path, version: int, compressors: Literal["auto"] | None) -> list[Path]:
    """An array of frames, each a chunk of the load and a file; the files."""
    psi = zarr.create_array(
        path,
        shape=(FRAMES, 64, 64, 16),
        chunks=(1, 64, 64, 16),
        dtype="c16",
        compressors=compressors,
        zarr_format=version,  # type: ignore[arg-type] # 2 or 3
    )
    psi[...] = np.arange(FRAMES).reshape(FRAMES, 1, 1, 1) + 1
    inner = "{}.0.0.0" if version == 2 else "c/{}/0/0/0"
    return [path / inner.format(frame) for frame in range(FRAMES)]


def journalled(server: Server, name: str) -> int:
    """The chunks that the journal of the load under way has."""
    with server.plain as client:
        generation = client.hget(f"qwf:{{{name}}}:load", "generation")
        return len(client.keys(f"qwf:{name}:{{{generation.decode()}.*}}:j")) if generation else 0


@pytest.mark.parametrize("compressors", [None, "auto"])
@pytest.mark.parametrize("version", [2, 3])
def test_a_pipe_among_the_chunks_of_a_zarr_directory_is_refused(
    shell: Shell, version: int, compressors: Literal["auto"] | None
) -> None:
    file = write_zarr(shell.directory / "psi.zarr", version, compressors)[5]
    file.unlink()
    os.mkfifo(file)
    outcome = shell.qwf("ingest", "psi.zarr", "--name", "piped", "--dims", "t,x,y,z")
    assert (outcome.status, len(outcome.lines)) == (7, 1)
    assert str(file) in outcome.err
    assert "is not a regular file" in outcome.err


def test_one_signal_ends_an_ingest_whose_file_does_not_answer(shell: Shell, server: Server) -> None:
    """As on a network file system whose server is away. The drain is half a second; nothing else ends it."""
    files = write_zarr(shell.directory / "psi.zarr", 3, "auto")
    options = ("--dims", "t,x,y,z", "--name", "slow", "--max-rate", "65536")
    with shell.begin("ingest", "psi.zarr", *options) as begun:
        wait_until(lambda: journalled(server, "slow"))
        for file in files[5:]:
            file.unlink()
            os.mkfifo(file)
        pipe = os.open(files[5], os.O_WRONLY)  # it waits until the process reads there
        try:
            begun.signal(signal.SIGTERM)
            outcome = begun.end()
        finally:
            os.close(pipe)
    assert outcome.status == 143
    assert "Traceback" not in outcome.err
    with server.plain as client:
        assert not client.exists("qwf:{slow}:meta")
