"""Whose spool it is, and what it may do: values of its own load are stored, and nothing else is ever carried out."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import xxhash

import qwf_async
from qwf_async import sources
from qwf_async.errors import DamagedData, QwfError, ReplayOwed
from qwf_async.events import Event
from qwf_async.ingesting.leftover_spools import waiting_spools
from qwf_async.ingesting.replay import replay
from qwf_async.ingesting.shutdown import Shutdown
from tests.conftest import Server
from tests.support.loads import (
    Events,
    check_alone,
    check_points,
    contents,
    ingested,
    refusal,
    when_stored,
)
from tests.support.loops import ON_ASYNCIO
from tests.support.outages import PSI, SOON, owing

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

Mutation = Callable[[list[Any], bytes], tuple[list[Any], bytes]]


async def resumed(server: Server, *hooks: Any) -> list[QwfError]:
    """What went wrong when all that waits was replayed."""
    failed = []

    def hook(event: Event) -> None:
        for each in hooks:
            each(event)

    async with qwf_async.connect(server.url) as store:
        for found in await waiting_spools(store):
            try:
                await replay(store, found, Shutdown(drain_timeout=1), hook=hook)
            except QwfError as error:
                failed.append(error)
    return failed


def file_of(spool_dir: Path, kind: str = "spool") -> Path:
    (path,) = spool_dir.glob(f"*.{kind}")
    return path


def tampered(spool: Path, mutation: Mutation) -> None:
    """Change every row, and make all checksums right again."""
    with closing(sqlite3.connect(spool, isolation_level=None)) as plain:
        for sequence, row in plain.execute("SELECT sequence, row FROM batches").fetchall():
            (length,) = struct.unpack_from("<I", row, 8)
            head, values = mutation(msgspec.msgpack.decode(row[12 : 12 + length]), row[12 + length :])
            packed = msgspec.msgpack.encode(head)
            rest = struct.pack("<I", len(packed)) + packed + values
            new = struct.pack("<Q", xxhash.xxh3_64_intdigest(rest)) + rest
            check = xxhash.xxh3_64_digest(struct.pack("<3q", sequence, head[2], len(new)))
            plain.execute("UPDATE batches SET row = ? WHERE sequence = ?", (new, sequence))
            plain.execute(
                "UPDATE waiting SET chunk = ?, bytes = ?, checksum = ? WHERE sequence = ?",
                (head[2], len(new), check, sequence),
            )


COMMAND = b"\r\n*3\r\n$3\r\nSET\r\n$6\r\nvictim\r\n$5\r\npwned\r\n"
MUTATIONS: dict[str, Mutation] = {
    "a command behind the values": lambda head, values: (head, values + COMMAND),
    "a command in place of the values": lambda head, values: (head, (COMMAND * 400)[: len(values)]),
    "a chunk that is not there": lambda head, values: ([*head[:2], 10**6, *head[3:]], values),
    "a chunk below zero": lambda head, values: ([*head[:2], -1, *head[3:]], values),
    "fewer values": lambda head, values: (head, values[:-16]),
    "another digest": lambda head, values: ([*head[:4], head[4] ^ 1, *head[5:]], values),
    "more and longer arrays": lambda head, values: (
        [*head[:6], [[*head[6][0][:3], head[6][0][3] + len(COMMAND), head[6][0][4]]]],
        values + COMMAND,
    ),
    "another load": lambda head, values: (["f" * 16, *head[1:]], values),
    "a longer head": lambda head, values: ([*head, [[b"victim", 1, b"", 40, None]]], values),
}


@ON_ASYNCIO
@pytest.mark.parametrize("mutation", MUTATIONS)
async def test_a_row_with_right_checksums_can_do_nothing_but_store_its_chunk(
    durable: Server, spool_dir: Path, mutation: str
) -> None:
    await owing(durable)
    durable.start()
    with durable.plain as client:
        client.set("victim", "1")
    tampered(file_of(spool_dir), MUTATIONS[mutation])
    events = Events()
    failed = await resumed(durable, events)
    with durable.plain as client:
        assert client.get("victim") == b"1"
        assert {key.split(b":")[0] for key in client.scan_iter()} == {b"qwf", b"victim"}
    if mutation != "a longer head":  # of which the rest is not looked at
        assert "the rest must come from the source" in str(failed[0])
        assert any("damaged in the spool" in warning for warning in events.warnings)
        await ingested(durable, sources.array(PSI), resume=True)
    with durable.plain as client:
        client.delete("victim")
    check_points(durable, PSI)
    check_alone(durable)


async def test_rows_changed_at_random_store_nothing_wrong(durable: Server, spool_dir: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 # shown by pytest if the test fails
    chance = random.Random(seed)
    await owing(durable, layout="tile")
    durable.start()

    def flip(head: list[Any], values: bytes) -> tuple[list[Any], bytes]:
        if chance.random() < 0.5:
            return head, values
        data = bytearray(values)
        data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
        return head, bytes(data)

    tampered(file_of(spool_dir), flip)
    await resumed(durable)
    report = await ingested(durable, sources.array(PSI), layout="tile", resume=True)
    assert report.points == PSI.size
    async with qwf_async.connect(durable.url) as store:
        assert (await (await store.open("psi")).read[...] == PSI).all()


def shared(path: Path) -> None:
    path.chmod(0o666)


def given_away(path: Path) -> None:
    os.chown(path, 65534, 65534)


def linked(path: Path) -> None:
    path.rename(path.parent.parent / "moved")
    path.symlink_to(path.parent.parent / "moved")


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def open_to_all(path: Path) -> None:
    path.mkdir(parents=True)
    path.chmod(0o1777)


CHANGES = {
    "shared": (shared, "written to by others"),
    "given away": (given_away, "another user"),
    "linked": (linked, "no plain file|symbolic"),
    "piped": (piped, "no plain file"),
    "directory": (directory, "no plain file|directory"),
    "endless": (endless, "no plain file|symbolic"),
}


@ON_ASYNCIO
@pytest.mark.parametrize("which", ["spool", "json"])
@pytest.mark.parametrize("change", CHANGES)
async def test_a_file_that_others_may_have_written_is_refused(
    durable: Server, spool_dir: Path, change: str, which: str
) -> None:
    if change == "given away" and os.geteuid():
        return  # only root can give files away
    await owing(durable)
    durable.start()
    before = contents(durable)
    do, why = CHANGES[change]
    do(file_of(spool_dir, which))
    (error,) = await resumed(durable)
    with pytest.raises(type(error), match=f"(?i){why}"):
        raise error
    assert "\n" not in str(error)
    assert {key: value for key, value in contents(durable).items() if not key.endswith(b":load")} == {
        key: value for key, value in before.items() if not key.endswith(b":load")
    }


@ON_ASYNCIO
async def test_a_directory_that_everybody_may_write_to_holds_no_spool(
    durable: Server, spool_dir: Path
) -> None:
    open_to_all(spool_dir)
    error = await refusal(
        sources.array(PSI), durable, hooks=(when_stored(3000, durable.kill),), settings=SOON
    )
    assert not isinstance(error, ReplayOwed)
    assert "can be written to by everybody" in str(error)
    assert os.listdir(spool_dir) == []
    durable.start()
    async with qwf_async.connect(durable.url) as store:
        with pytest.raises(
            QwfError, match="can be written to by everybody: choose another with QWF_SPOOL_DIR"
        ):
            await waiting_spools(store)


@ON_ASYNCIO
async def test_a_spool_of_requests_as_an_earlier_version_made_them_is_refused_by_its_version(
    durable: Server, spool_dir: Path
) -> None:
    await owing(durable)
    durable.start()
    head = file_of(spool_dir, "json")
    head.write_text(json.dumps(json.loads(head.read_text()) | {"format": 1}))
    (error,) = await resumed(durable)
    assert isinstance(error, DamagedData)
    assert "older format version 1" in str(error)
    assert "move it away, and repeat the ingest" in str(error)
