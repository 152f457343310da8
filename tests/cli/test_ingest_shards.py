"""Commands without a URL on an embedded server in shards: what they store lies where plain redis-py looks for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import redis
from redis.crc import key_slot

from tests.support.command import Shell
from tests.support.loads import wave

SHARDS = 3
PSI = wave(2, 64, 64, 64)
LAYOUTS = {
    "flat": ("--layout", "flat", "--slab", "16x16x16x1"),
    "text": ("--layout", "flat", "--codec", "text10", "--slab", "16x16x16x1"),
    "packed": ("--layout", "packed"),
    "tile": ("--layout", "tile", "--tile", "8x8x8"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharded:
    """A shell without a URL, and the sockets of the shards of its data directory, in their order."""

    shell: Shell
    sockets: list[str]

    def keys(self) -> list[set[bytes]]:
        """The keys of each shard."""
        return [set(self.client(number).scan_iter()) for number in range(SHARDS)]

    def client(self, number: int) -> redis.Redis:
        return redis.Redis(unix_socket_path=self.sockets[number], protocol=2)


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sharded]:
    """Shards that hold PSI in each layout, under its name."""
    directory = tmp_path_factory.mktemp("sharded")
    np.save(directory / "psi.npy", PSI)
    # Not under that directory, whose path may be too long for a socket.
    with tempfile.TemporaryDirectory(prefix="qwf-") as runtime:
        shell = Shell.at(directory, QWF_DATA_DIR=str(directory / "data"), XDG_RUNTIME_DIR=runtime)
        try:
            started = shell.qwf("server", "start", "--shards", str(SHARDS), "--json")
            for name, options in LAYOUTS.items():
                stored = shell.qwf("ingest", "psi.npy", "--name", name, "--json", *options)
                assert stored.status == 0, stored.err
                assert json.loads(stored.out)["durability"] == f"rdb (saved to {directory}/data)"
            sockets = [shard["socket"] for shard in json.loads(started.out)["shards"]]
            yield Sharded(shell=shell, sockets=sockets)
        finally:
            shell.qwf("server", "stop", "--purge", "--yes")


def test_every_layout_is_read_back_equal_and_verified(sharded: Sharded) -> None:
    shell = sharded.shell
    for name in LAYOUTS:
        read = shell.qwf("slice", name, ":", "-o", f"{name}.npy")
        assert read.status == 0, read.err
        expected = PSI if name != "text" else np.round(PSI.view(np.float64), 10).view(np.complex128)
        stored = np.load(shell.directory / f"{name}.npy")
        assert np.allclose(stored, expected, rtol=0, atol=1e-9) if name == "text" else (stored == PSI).all()
        verified = shell.qwf("verify", name, "psi.npy")
        assert verified.status == 0, verified.err


def test_every_key_lies_on_the_shard_of_its_slot(sharded: Sharded) -> None:
    keys = sharded.keys()
    for number, on_shard in enumerate(keys):
        assert on_shard
        assert {key_slot(key) * SHARDS // 16_384 for key in on_shard} == {number}
    names = {key.split(b":")[1].strip(b"{}") for on_shard in keys for key in on_shard}
    assert names >= {name.encode() for name in LAYOUTS}


def test_a_wavefunction_of_many_chunks_lies_evenly_on_the_shards(sharded: Sharded) -> None:
    points = [
        sum(
            sharded.client(number).hlen(key) for key in keys if key.startswith(b"qwf:flat:") and b"}:s" in key
        )
        for number, keys in enumerate(sharded.keys())
    ]
    assert sum(points) == PSI.size
    assert max(points) <= 1.15 * PSI.size / SHARDS


@pytest.mark.parametrize("name", LAYOUTS)
def test_where_names_the_shard_that_has_the_point(sharded: Sharded, name: str) -> None:
    shell = sharded.shell
    sockets = set()
    for x, y, z, t in [(0, 0, 0, 0), (63, 63, 63, 1), (5, 17, 40, 1), (40, 3, 60, 0), (20, 60, 9, 0)]:
        where = shell.qwf("where", name, str(x), str(y), str(z), "-t", str(t), "--json")
        assert where.status == 0, where.err
        facts = json.loads(where.out)
        socket = sharded.sockets[key_slot(facts["key"].encode()) * SHARDS // 16_384]
        sockets.add(socket)
        words = facts["command"].split()
        assert words[words.index("-s") + 1] == socket
        assert "-c" not in words
        command = facts["command"] + (f" | {facts['shell']}" if facts["shell"] else "")
        read = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
        re_part, im_part = map(float, read.stdout.replace(",", " ").split())
        assert complex(re_part, im_part) == pytest.approx(PSI[t, x, y, z], abs=1e-9)
    assert len(sockets) > 1


def test_a_value_that_was_set_outlives_the_death_of_all_shards(sharded: Sharded) -> None:
    shell = sharded.shell
    changed = shell.qwf("set", "packed", "7", "8", "9", "-t", "1", "--value", "0.25,-0.5")
    assert changed.status == 0, changed.err
    for shard in json.loads(shell.qwf("server", "status", "--json").out)["shards"]:
        os.kill(shard["pid"], signal.SIGKILL)
    read = shell.qwf("get", "packed", "7", "8", "9", "-t", "1", "--json")
    assert (json.loads(read.out)[0]["re"], json.loads(read.out)[0]["im"]) == (0.25, -0.5)
    assert "started the embedded server" in read.err
    assert shell.qwf("slice", "tile", ":", "-o", "again.npy").status == 0
    assert (np.load(shell.directory / "again.npy") == PSI).all()


def test_a_save_that_fails_on_one_shard_is_a_failure_that_names_it(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="qwf-") as runtime:
        shell = Shell.at(tmp_path, QWF_DATA_DIR=str(tmp_path / "data"), XDG_RUNTIME_DIR=runtime)
        try:
            shell.qwf("server", "start", "--shards", "3")
            (tmp_path / "data" / "shard-2" / "qwf.rdb").mkdir()  # where the file should be
            stored = shell.qwf("ingest", "gaussian", "--grid", "32", "--quiet")
            assert stored.status == 1
            assert f"not saved to {tmp_path}/data/shard-2" in stored.err
        finally:
            shell.qwf("server", "stop", "--purge", "--yes")


def test_rm_leaves_no_key_on_any_shard(tmp_path: Path) -> None:
    np.save(tmp_path / "psi.npy", PSI[:, :32])
    with tempfile.TemporaryDirectory(prefix="qwf-") as runtime:
        shell = Shell.at(tmp_path, QWF_DATA_DIR=str(tmp_path / "data"), XDG_RUNTIME_DIR=runtime)
        try:
            started = json.loads(shell.qwf("server", "start", "--shards", "3", "--json").out)
            for options in LAYOUTS.values():
                stored = shell.qwf("ingest", "psi.npy", "--name", "psi", "--overwrite", *options)
                assert stored.status == 0, stored.err
            shell.each(["rm", "psi"], ["clean"])
            for shard in started["shards"]:
                assert redis.Redis(unix_socket_path=shard["socket"], protocol=2).keys() == []
        finally:
            shell.qwf("server", "stop", "--purge", "--yes")
