"""A backup has every wavefunction, byte for byte, and a restore puts it back so; or says which file is damaged."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.errors import DamagedData, InvalidInput, Refused
from qwf_async.events import Event, Progress
from tests.conftest import Server
from tests.copying.test_copy import FORMS, PSI, SOURCE
from tests.support.loads import Enough, ask, enough, group_keys, leave_unfinished, when_stored

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks", "time_to_settle")]

Held = dict[bytes, dict[bytes, bytes]]


def held(server: Server) -> Held:
    """All hashes of the data and of what describes them, by their keys without generations."""
    whole: Held = {}
    with server.plain as client:
        for key in client.scan_iter(count=1000):
            fields = dict(client.hgetall(key))
            if key.endswith(
                b":j"
            ):  # an entry is a digest and a weight; the weight of lossy codecs is recomputed
                fields = {chunk: entry.split()[0] for chunk, entry in fields.items()}
            for changes in (b"generation", b"copy_of", b"norm"):
                fields.pop(changes, None)
            if key != b"qwf:names":
                head, brace, tail = key.partition(b"{")
                whole[head + brace + tail.partition(b".")[2] if b"." in tail else key] = fields
    return whole


def files(directory: Path, pattern: str) -> list[Path]:
    return sorted(directory.glob(pattern))


async def store_each_form(store: qwf_async.Store) -> None:
    for number, options in enumerate(FORMS.values()):
        await qwf_async.ingest(SOURCE, store, f"psi{number}", **options)


@contextmanager
def files_of_at_most(nbytes: int) -> Iterator[None]:
    """Within this, no file of this process can be longer: as on a full disk, writing fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_what_is_restored_is_what_was_there(own_server: Server, tmp_path: Path) -> None:
    async with qwf_async.connect(own_server.url) as store:
        await store_each_form(store)
        await (await store.open("psi2")).update(3, 4, 5, 1, value=7j)
        report = await qwf_async.backup(store, tmp_path / "b")
        assert len(report.written) == len(FORMS)
        before = held(own_server)
        ask(own_server, "FLUSHALL")
        restored = await qwf_async.restore(store, tmp_path / "b")
        assert len(restored.restored) == len(FORMS)
        after = held(own_server)
        stale = [key for key in before if b"stale" in before[key].values()]
        assert len(stale) == 1
        for key in stale:
            del before[key], after[key]
        assert after == before
        assert (await qwf_async.ingest(SOURCE, store, "psi0", resume=True)).already
        repeated = await qwf_async.restore(store, tmp_path / "b")
        assert (len(repeated.already), repeated.restored) == (len(FORMS), ())


async def test_values_and_checksums_are_read_by_other_programs(server: Server, tmp_path: Path) -> None:
    async with qwf_async.connect(server.url) as store:
        await store_each_form(store)
        await qwf_async.backup(store, tmp_path)
    assert len(os.listdir(tmp_path)) == 2 * len(FORMS)
    for path in files(tmp_path, "*.json"):
        record = json.loads(path.read_text())["wavefunction"]
        file = tmp_path / record["file"]
        values, codec = np.load(file), record["meta"]["codec"]
        assert sha256(file.read_bytes()).hexdigest() == record["sha256"]
        assert np.allclose(values, PSI, rtol=0, atol={"c16": 0, "c8": 1e-6, "text10": 1e-10}[codec])


async def test_only_what_changed_is_written_again(server: Server, tmp_path: Path) -> None:
    async with qwf_async.connect(server.url) as store:
        for name in ("one", "two", "three"):
            await qwf_async.ingest(SOURCE, store, name)
        await qwf_async.backup(store, tmp_path)
        await (await store.open("two")).update(0, 0, 0, 0, value=1)
        await store.remove("three")
        await leave_unfinished(server, sources.array(PSI), 1500, "unfinished")
        report = await qwf_async.backup(store, tmp_path)
        assert (report.written, report.unchanged, report.kept) == (("two",), ("one",), ("three",))
        assert len(os.listdir(tmp_path)) == 6
        # A file that rots is noticed, and written anew.
        (one,) = files(tmp_path, "one.*.npy")
        damage(one)
        assert (await qwf_async.backup(store, tmp_path)).written == ("one",)
        await store.remove("two")
        restored = await qwf_async.restore(store, tmp_path, names=("two",))
        assert [each.name for each in restored.restored] == ["two"]
        assert await (await store.open("two")).point(0, 0, 0, 0) == 1


async def test_what_was_changed_before_the_backup_is_found_there(server: Server, tmp_path: Path) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(SOURCE, store, "one")
        psi = await store.open("one")
        await psi.update(0, 0, 0, 0, value=1)
        await qwf_async.backup(store, tmp_path)
        assert (await qwf_async.restore(store, tmp_path)).already == ("one",)
        await psi.update(0, 0, 0, 0, value=2)
        with pytest.raises(Refused, match="something else under one"):
            await qwf_async.restore(store, tmp_path)


def damage(path: Path, at: int = -9) -> None:
    whole = bytearray(path.read_bytes())
    whole[at] ^= 1
    path.write_bytes(whole)


@pytest.mark.parametrize(
    "way",
    ["value", "header", "cut short", "longer", "gone", "record", "record cut short", "record unreadable"],
)
async def test_a_damaged_file_is_named_and_nothing_of_it_is_stored(
    server: Server, tmp_path: Path, way: str
) -> None:
    async with qwf_async.connect(server.url) as store:
        for name in ("one", "two"):
            await qwf_async.ingest(SOURCE, store, name, layout="tile")
        await qwf_async.backup(store, tmp_path)
        (file,), record = files(tmp_path, "one.*.npy"), tmp_path / "one.json"
        match way:
            case "value":
                damage(file)
            case "header":
                damage(file, 120)
            case "cut short":
                os.truncate(file, file.stat().st_size - 1)
            case "longer":
                file.write_bytes(file.read_bytes() + b"\0")
            case "gone":
                file.unlink()
            case "record":
                damage(record, len(record.read_bytes()) // 2)
            case "record unreadable":
                record.unlink()
                record.mkdir()
            case "record cut short":
                os.truncate(record, record.stat().st_size - 5)
        ask(server, "FLUSHALL")
        with pytest.raises(DamagedData) as caught:
            await qwf_async.restore(store, tmp_path)
        assert str(record if "record" in way else file) in str(caught.value)
        assert [entry.name for entry in await store.entries()] == ["two"]
        with server.plain as client:
            assert not [key for key in client.scan_iter() if b"one" in key]


async def test_names_that_have_something_else_are_spared(server: Server, tmp_path: Path) -> None:
    other = sources.array(PSI[:1])
    async with qwf_async.connect(server.url) as store:
        for name in ("one", "two", "three"):
            await qwf_async.ingest(SOURCE, store, name)
        await qwf_async.backup(store, tmp_path)
        await qwf_async.ingest(other, store, "one", overwrite=True)
        for name in ("two", "three"):
            await store.remove(name)
        await leave_unfinished(server, other, 300, "two")
        with pytest.raises(Refused, match="something else under one, two, and nothing was restored"):
            await qwf_async.restore(store, tmp_path)
        assert [entry.name for entry in await store.entries() if entry.manifest] == ["one"]
        await qwf_async.restore(store, tmp_path, names=("three",))
        with pytest.raises(InvalidInput, match="has no four"):
            await qwf_async.restore(store, tmp_path, names=("one", "four"), overwrite=True)
        await qwf_async.restore(store, tmp_path, overwrite=True)
        for entry in await store.entries():
            assert entry.note is None
            assert np.array_equal(await (await store.open(entry.name)).read[...], PSI)


async def test_what_was_interrupted_goes_on(server: Server, tmp_path: Path) -> None:
    read: list[int] = []

    def count(event: Event) -> None:
        if isinstance(event, Progress):
            read.append(event.points)

    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(SOURCE, store, "psi", layout="packed")
        with pytest.raises(Enough):
            await qwf_async.backup(store, tmp_path, hooks=(when_stored(1500, enough),))
        (part,) = files(tmp_path, "*.part")
        before = np.load(part)
        inode = part.stat().st_ino
        await qwf_async.backup(store, tmp_path, hooks=(count,))
        (whole,) = files(tmp_path, "*.npy")
        assert whole.stat().st_ino == inode
        assert np.count_nonzero(before) >= 1500 - 1000
        assert {path.suffix for path in files(tmp_path, "*")} == {".npy", ".json"}
        await store.remove("psi")
        with pytest.raises(Enough):
            await qwf_async.restore(store, tmp_path, hooks=(when_stored(1500, enough),))
        (report,) = (await qwf_async.restore(store, tmp_path)).restored
        assert report.resumed_chunks
        assert np.array_equal(await (await store.open("psi")).read[...], PSI)


async def test_a_full_disk_leaves_nothing_half_there(server: Server, tmp_path: Path) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI[:1]), store, "a.small")
        await qwf_async.ingest(SOURCE, store, "large")
        with (
            files_of_at_most(PSI.nbytes // 2),
            pytest.raises(InvalidInput, match="cannot write the backup into") as caught,
        ):
            await qwf_async.backup(store, tmp_path)
        assert "\n" not in str(caught.value)
        assert sorted(path.suffix for path in files(tmp_path, "*")) == [".json", ".npy"]
        assert (await qwf_async.backup(store, tmp_path)).unchanged == ("a.small",)
        with files_of_at_most(100), pytest.raises(InvalidInput, match="cannot write the backup into"):
            await qwf_async.backup(store, tmp_path / "new")
        assert not (tmp_path / "new").exists()


async def test_one_damaged_wavefunction_does_not_spare_the_others(server: Server, tmp_path: Path) -> None:
    async with qwf_async.connect(server.url) as store:
        for name in ("one", "two"):
            await qwf_async.ingest(SOURCE, store, name)
        ask(server, "DEL", group_keys(server, "s", "one")[0])
        with pytest.raises(DamagedData):
            await qwf_async.backup(store, tmp_path)
        assert [path.name for path in files(tmp_path, "*.json")] == ["two.json"]
        assert not files(tmp_path, "*.part")


async def test_two_backups_at_a_time_are_refused(server: Server, tmp_path: Path) -> None:
    async with qwf_async.connect(server.url) as store:
        descriptor = os.open(tmp_path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with pytest.raises(Refused, match="another backup is writing"):
                await qwf_async.backup(store, tmp_path)
        finally:
            os.close(descriptor)
        with pytest.raises(InvalidInput, match="holds no backup"):
            await qwf_async.restore(store, tmp_path)
        shutil.rmtree(tmp_path)
        with pytest.raises(InvalidInput, match="cannot read"):
            await qwf_async.restore(store, tmp_path)
