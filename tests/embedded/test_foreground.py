"""The embedded server in the foreground, as a process that signals stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anyio.to_thread import run_sync

from qwf_async.embedded.lifecycle import ensure, stop
from qwf_async.errors import Refused
from tests.support.data_dirs import new_data_dir, plain, processes, running
from tests.support.waiting import is_stopped, wait_until


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield from new_data_dir(tmp_path)


@contextmanager
def foreground(data_dir: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`qwf server run` in a process, which is gone at the end even if the test fails."""
    with subprocess.Popen(
        [sys.executable, "-m", "qwf_async", "server", "run", "--data-dir", str(data_dir), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as job:
        try:
            yield job
        finally:
            job.kill()


@pytest.mark.anyio
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_stops_the_foreground_server_with_its_data_saved(
    data_dir: Path, number: int, code: int
) -> None:
    with foreground(data_dir) as job:
        await run_sync(wait_until, lambda: processes(data_dir))
        found = await running(data_dir)
        assert found is not None
        with plain(found) as client:
            client.set("k", "v")
        job.send_signal(number)
        log, message = await run_sync(job.communicate)
        assert job.returncode == code
        assert "its data is saved" in message
        assert "Ready to accept connections" in log or "ready to accept connections" in log
        with plain(await ensure(data_dir)) as client:
            assert client.get("k") == b"v"


@pytest.mark.anyio
async def test_a_second_signal_ends_the_foreground_server_at_once(data_dir: Path) -> None:
    with foreground(data_dir) as job:
        await run_sync(wait_until, lambda: processes(data_dir))
        found = await running(data_dir)
        assert found is not None
        status = Path(f"/proc/{found.pid}/status")
        os.kill(found.pid, signal.SIGSTOP)  # it will not hear the first
        await run_sync(wait_until, lambda: is_stopped(found.pid))
        job.send_signal(signal.SIGINT)
        await run_sync(wait_until, lambda: "ShdPnd:\t0000000000000000" not in status.read_text())
        job.send_signal(signal.SIGINT)
        _, message = await run_sync(job.communicate)
        assert job.returncode == 130
        assert "since the last save is lost" in message
        assert processes(data_dir) == []


@pytest.mark.anyio
async def test_the_foreground_server_is_shared_and_stopped_like_any_other(data_dir: Path) -> None:
    with foreground(data_dir) as job:
        await run_sync(wait_until, lambda: processes(data_dir))
        assert not (await ensure(data_dir)).started
        with foreground(data_dir) as second:
            _, message = await run_sync(second.communicate)
        assert second.returncode == Refused.exit_code
        assert "lives already" in message
        assert await stop(data_dir)
        await run_sync(job.communicate)
        assert job.returncode == 0
