"""Spools whose first page is damaged: every batch in them is still found."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import qwf_async
from qwf_async import sources
from qwf_async.catalog.manifest import NewerFormat
from qwf_async.errors import DamagedData, ReplayOwed
from qwf_async.ingesting.leftover_spools import waiting_spools
from qwf_async.ingesting.replay import replay
from qwf_async.ingesting.shutdown import Shutdown
from qwf_async.spool import SpoolFile, spool_path
from tests.conftest import new_server
from tests.support.loads import (
    Events,
    check_alone,
    check_points,
    ingested,
    refusal,
    wave,
    when_stored,
)
from tests.support.spool_processes import GENERATION, HEAD, numbered, sent

LIMIT = 1 << 40
PAGE = 65_536
CHUNKS = range(30)
GONE = {2, 3, 4, 11}
LEFT = [number for number in CHUNKS if number not in GONE]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A spool with free pages: some of its batches have been replayed."""
    path = spool_path(tmp_path, GENERATION)
    with closing(SpoolFile.create(path, HEAD, limit=LIMIT)) as spool:
        spool.put(map(numbered, CHUNKS))
        spool.remove(sequence for sequence, batch in spool.rows(LIMIT) if batch.chunk in GONE)
    return path


def check_whole(path: Path) -> None:
    """All that waits is there, byte for byte; more can be put, and is there for the next process too."""
    with closing(SpoolFile.open(path, limit=LIMIT)) as spool:
        assert [(batch.chunk, sent(batch)) for _, batch in spool.rows(LIMIT)] == [
            (number, sent(numbered(number))) for number in LEFT
        ]
        assert not spool.quarantined
        spool.put(map(numbered, (100, 101)))
    with closing(SpoolFile.open(path, limit=LIMIT)) as spool:
        assert [batch.chunk for _, batch in spool.rows(LIMIT)] == [*LEFT, 100, 101]
        spool.remove([sequence for sequence, _ in spool.rows(LIMIT)])
        assert spool.is_empty


def spoiled_schema(page: bytearray) -> None:
    page[:] = page.replace(b"CREATE TABLE batches", b"CREAT\x80\nTABLE batches", 1)


def root_of_batches(page: bytearray) -> None:
    page[page.index(b"\x02CREATE TABLE batches")] = 3


def set_to(start: int, stop: int, value: bytes | None = None) -> Callable[[bytearray], None]:
    def change(page: bytearray) -> None:
        page[start:stop] = value or random.Random(start).randbytes(stop - start)

    return change


DAMAGES: dict[str, Callable[[bytearray], None]] = {
    "all of it is zero": set_to(0, PAGE, bytes(PAGE)),
    "all of it is random": set_to(0, PAGE),
    "text that is no UTF-8": spoiled_schema,
    "magic": set_to(0, 16),
    "page size": set_to(16, 18, b"\x02\x00"),
    "application": set_to(68, 72),
    "head of the tree": set_to(100, 112),
    "the first sector": set_to(0, 512),
    "the last sector": set_to(PAGE - 512, PAGE),
    "where a table begins": root_of_batches,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_first_page_costs_no_row(path: Path, damage: str) -> None:
    page = bytearray(path.read_bytes()[:PAGE])
    DAMAGES[damage](page)
    with path.open("r+b") as file:
        file.write(page)
    check_whole(path)


def test_a_flipped_byte_anywhere_in_the_first_page_leaves_no_row_unnamed(path: Path) -> None:
    """A byte that says how pages are laid out may cost rows behind it; they are told, and taken from the source."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 # shown by pytest if the test fails
    chance = random.Random(seed)
    whole = path.read_bytes()
    tables = whole.index(b"CREATE TABLE")
    for place in chance.sample([*range(112), *range(tables - 20, PAGE)], 40):
        damaged = bytearray(whole)
        damaged[place] ^= chance.randrange(1, 256)
        path.write_bytes(damaged)
        try:
            spool = SpoolFile.open(path, limit=LIMIT)
        except NewerFormat:
            assert 60 <= place < 64  # the version: it might be one that is to come
            continue
        with closing(spool):
            found = spool.rows(LIMIT)
            assert all(sent(batch) == sent(numbered(batch.chunk)) for _, batch in found)
            out = {row.chunk for row in spool.quarantined}
            assert {batch.chunk for _, batch in found} | out == set(LEFT), place
            assert len(found) + len(out) == len(LEFT)
        Path(f"{path}-wal").unlink(missing_ok=True)


def test_a_log_that_was_left_beside_a_damaged_first_page_is_read_too(path: Path, tmp_path: Path) -> None:
    """As after a kill: what was committed last is in the log, and not in the file yet."""
    with closing(SpoolFile.open(path, limit=LIMIT)) as spool:
        spool.put([numbered(50)])
        log = Path(f"{path}-wal").read_bytes()
        data = path.read_bytes()
    assert len(log) > PAGE
    path.write_bytes(bytes(PAGE) + data[PAGE:])
    Path(f"{path}-wal").write_bytes(log)
    with closing(SpoolFile.open(path, limit=LIMIT)) as spool:
        assert [batch.chunk for _, batch in spool.rows(LIMIT)] == [*LEFT, 50]


def test_a_spool_of_which_nothing_can_be_found_is_left_as_it_is(path: Path) -> None:
    garbage = random.Random(3).randbytes(path.stat().st_size)
    path.write_bytes(garbage)
    with pytest.raises(DamagedData, match="not a database"):
        SpoolFile.open(path, limit=LIMIT)
    assert path.read_bytes() == garbage
    assert {file.suffix for file in path.parent.iterdir()} == {".spool", ".json"}


@pytest.mark.anyio
@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("with_source", [False, True], ids=["replayed", "resumed"])
async def test_what_waits_behind_a_damaged_first_page_comes_to_the_server(
    tmp_path: Path, with_source: bool
) -> None:
    psi = wave(12, 10, 10, 10)
    soon: dict[str, Any] = {"deadline": 1.0, "spool_after": 0.2}
    for server in new_server("valkey", appendonly="yes", appendfsync="always"):
        died = when_stored(4000, server.kill)
        error = await refusal(sources.array(psi), server, hooks=(died,), settings=soon)
        assert isinstance(error, ReplayOwed)
        (spool,) = (tmp_path / "data-home" / "qwf_async" / "spool").glob("*.spool")
        with spool.open("r+b") as file:
            file.write(bytes(PAGE))
        server.start()
        events = Events()
        if with_source:
            await ingested(server, sources.array(psi), resume=True, hooks=(events,))
        else:
            async with qwf_async.connect(server.url) as store:
                (found,) = await waiting_spools(store)
                await replay(store, found, Shutdown(drain_timeout=1), hook=events)
        assert not [warning for warning in events.warnings if "damaged" in warning]
        check_points(server, psi)
        check_alone(server)
        assert not spool.exists()
