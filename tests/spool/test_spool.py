"""The spool's file: what is put comes back byte for byte, whatever happens to the process or to the file.

Random tests print their seed, and QWF_TEST_SEED repeats it.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwf_async.errors import DamagedData, QwfError
from qwf_async.ingesting.load_spool import encoded
from qwf_async.lattice.grid import Grid
from qwf_async.layout import Form
from qwf_async.spool import SpoolFile, spool_path, spools
from qwf_async.wire.batch import Batch
from qwf_async.wire.codec import stored
from tests.conftest import PATIENCE
from tests.support.chance import new_seed
from tests.support.loads import wave
from tests.support.spool_processes import (
    GENERATION,
    HEAD,
    LIMIT,
    chunks_of,
    drained,
    filled,
    head_of,
    numbered,
    process,
)

KILLS = 100


TRIALS = 20


def on_the_wire(batch: Batch) -> object:
    """All that a batch is to the engine, its bytes on the wire among it."""
    parts = [(part.key, part.requests, part.answer, b"".join(part.buffers)) for part in batch.parts]
    return batch.chunk, batch.points, batch.digest, batch.weight, parts


FORMS = [
    ("flat", "c16"),
    ("flat", "c8"),
    ("flat", "text10"),
    ("packed", "c16"),
    ("tile", "c16"),
    ("tile", "c8"),
]


@settings(max_examples=40, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 20), st.integers(1, 40)),
    by_restore=st.booleans(),
    max_bytes=st.integers(1, 200_000),
)
def test_batches_of_every_layout_come_back_with_the_bytes_that_would_have_been_sent(
    form: tuple[str, str], shape: tuple[int, int, int, int], by_restore: bool, max_bytes: int
) -> None:
    grid = Grid(shape=shape)
    kind = Form.of(layout=form[0], codec=form[1], shape=shape)
    layout = kind.open(b"qwf:psi:{%s." % GENERATION.encode(), by_restore=by_restore)
    psi = stored(kind.codec, wave(*shape))
    wanted = []
    head = head_of(grid, kind)
    with tempfile.TemporaryDirectory() as directory:
        path = spool_path(Path(directory), GENERATION)
        with closing(SpoolFile.create(path, head, limit=LIMIT)) as spool:
            for chunk in kind.plan:
                values = psi.reshape(-1)[: chunk.points] if chunk.flat else psi[chunk.box.slices]
                batch = layout.encode(chunk, values, weight=0.25)
                wanted.append(on_the_wire(batch))
                spool.put([batch])
        with closing(SpoolFile.open(path, limit=LIMIT)) as spool:
            assert spool.head == head
            assert spool.chunks == set(range(len(wanted)))
            found = []
            while rows := spool.rows(max_bytes):
                found += [on_the_wire(encoded(row, head.manifest, layout)) for _, row in rows]
                spool.remove(sequence for sequence, _ in rows)
            assert found == wanted
            spool.delete()
        assert os.listdir(directory) == []


def test_batches_come_in_the_order_in_which_they_were_put_and_go_when_they_are_removed(path: Path) -> None:
    with closing(SpoolFile.create(path, HEAD, limit=LIMIT)) as spool:
        spool.put([numbered(5), numbered(3)])
        spool.put([numbered(4)])
        assert [batch.chunk for _, batch in spool.rows(1)] == [5]
        rows = spool.rows(LIMIT)
        assert [batch.chunk for _, batch in rows] == [5, 3, 4]
        spool.remove([rows[1][0]])
        assert spool.chunks == {4, 5}
    with closing(SpoolFile.open(path, limit=LIMIT)) as spool:
        spool.put([numbered(9)])
        assert chunks_of(spool) == [5, 4, 9]
    with closing(SpoolFile.open(path, limit=LIMIT)) as spool:
        assert spool.is_empty


def test_pages_of_removed_batches_are_used_again(path: Path) -> None:
    with closing(SpoolFile.create(path, HEAD, limit=LIMIT)) as spool:
        for turn in range(20):
            spool.put(map(numbered, range(10 * turn, 10 * turn + 10)))
            drained(spool)
    assert path.stat().st_size < 10 * 600_000 * 2


def test_nothing_that_was_put_is_missing_after_kill_9(tmp_path: Path) -> None:
    seed = new_seed()
    places = [tmp_path / "a", tmp_path / "b"]
    for place in places:
        place.mkdir()
    half = KILLS // 2
    with process("kill", places[0], seed, half) as one, process("kill", places[1], seed + 1, half) as other:
        assert (one.wait(PATIENCE), other.wait(PATIENCE)) == (0, 0)
    spooled = 0
    for directory in (place / str(number) for place in places for number in range(half)):
        lines = [line.split() for line in (directory / "notes").read_text().splitlines()]
        put = {int(chunk) for line in lines if line[0] == "put" for chunk in line[1:]}
        going = {int(chunk) for line in lines if line[0] == "going" for chunk in line[1:]}
        spooled += len(put)
        if not put and not spools(directory):
            continue  # killed before there was a spool
        with closing(SpoolFile.open(spool_path(directory, GENERATION), limit=LIMIT)) as spool:
            assert put - going <= spool.chunks
            found = chunks_of(spool)
            assert found == sorted(found)
            assert put - going <= set(found)
            assert not spool.quarantined
        shutil.rmtree(directory)
    assert spooled > KILLS / 2


@pytest.mark.parametrize("flips", [1, 2, 20])
def test_flipped_bytes_cost_only_the_rows_that_they_hit(tmp_path: Path, flips: int) -> None:
    chance = random.Random(new_seed())
    chunks = range(30)
    path = spool_path(tmp_path, GENERATION)
    filled(path, chunks)
    whole = path.read_bytes()
    lost = 0
    for _ in range(TRIALS):
        damaged = bytearray(whole)
        for _ in range(flips):
            # Half of them where they hurt: in the heads of pages, which hold little else than structure.
            page = chance.randrange(len(whole) // 65_536) * 65_536
            place = page + chance.randrange(64) if chance.random() < 0.5 else chance.randrange(len(whole))
            damaged[place] ^= chance.randrange(1, 256)
        path.write_bytes(damaged)
        try:
            spool = SpoolFile.open(path, limit=LIMIT)
        except DamagedData:
            lost += 1
            continue
        with closing(spool):
            put = set()
            with suppress(QwfError):
                spool.put([numbered(99)])
                put = {99}
            found = chunks_of(spool)
            out = {row.chunk for row in spool.quarantined}
            assert len(found) == len(set(found))
            assert set(found) | out >= put
            if flips == 1:
                assert set(found) | out >= set(chunks)
        with closing(SpoolFile.open(path, limit=LIMIT)) as spool:
            drained(spool)
        Path(f"{path}-wal").unlink(missing_ok=True)
    assert lost < TRIALS / 2


def test_a_damaged_page_of_either_table_loses_no_other_row(path: Path) -> None:
    chunks = range(100)
    filled(path, chunks)
    whole = path.read_bytes()
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as plain:
        roots = dict(plain.execute("SELECT name, rootpage FROM sqlite_master"))
    for table, why in (("waiting", "nothing is lost"), ("batches", "all numbers are known")):
        start = (roots[table] - 1) * 65_536
        path.write_bytes(whole[:start] + bytes(65_536) + whole[start + 65_536 :])
        with closing(SpoolFile.open(path, limit=LIMIT)) as spool:
            found = chunks_of(spool)
            out = {row.chunk for row in spool.quarantined}
        assert (found, out) == {
            "waiting": (list(chunks), set()),
            "batches": ([], set(chunks)),
        }[table], why


def test_a_quarantined_row_is_remembered_and_new_batches_go_on_behind_it(path: Path) -> None:
    filled(path, range(10))
    whole = path.read_bytes()
    place = whole.index(numbered(4).values.tobytes()[:64])
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with closing(SpoolFile.open(path, limit=LIMIT)) as spool:
        assert len(spool.rows(LIMIT)) == 9
        (row,) = spool.quarantined
        assert (row.chunk, row.why) == (4, "its checksum does not match")
        spool.put([numbered(10)])
    with closing(SpoolFile.open(path, limit=LIMIT)) as spool:
        assert [row.chunk for row in spool.quarantined] == [4]
        assert chunks_of(spool) == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10]
