"""The spool's file: what is put comes back byte for byte, whatever happens to the process or to the file.

Random tests print their seed, and QWF_TEST_SEED repeats it.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwf_async.errors import DamagedData, InvalidInput, QwfError, Refused
from qwf_async.ingesting.load_spool import encoded
from qwf_async.lattice.grid import Grid
from qwf_async.layout import Form
from qwf_async.spool import Row, SpoolFile, SpoolFull, spool_path, spools
from qwf_async.wire.batch import Batch
from qwf_async.wire.codec import stored
from tests.conftest import PATIENCE
from tests.support.loads import wave
from tests.support.spooling import GENERATION, HEAD, LIMIT, head_of, numbered, sent

SCRIPT = Path(__file__).parents[1] / "support" / "spooling.py"
KILLS = 100
TRIALS = 20


@contextmanager
def process(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """The helper program, killed at the end if it still runs."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(SCRIPT.parent.parent)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as begun:
        try:
            yield begun
        finally:
            begun.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return spool_path(tmp_path / "spool", GENERATION)


def filled(path: Path, chunks: range) -> None:
    """A spool of numbered batches, checkpointed and closed."""
    with closing(SpoolFile.create(path, HEAD, limit=LIMIT)) as spool:
        spool.put(map(numbered, chunks))


def drained(spool: SpoolFile) -> list[Row]:
    """All that can be replayed, a few batches at a time, each checked."""
    found = []
    while rows := spool.rows(1_000_000):
        for _, batch in rows:
            assert sent(batch) == sent(numbered(batch.chunk)), f"chunk {batch.chunk} is wrong"
            found.append(batch)
        spool.remove(sequence for sequence, _ in rows)
    assert spool.is_empty
    assert (spool.nbytes, spool.chunks) == (0, frozenset())
    return found


def new_seed() -> int:
    seed = int(os.environ.get("QWF_TEST_SEED") or secrets.randbits(32))
    print(f"QWF_TEST_SEED={seed}")  # noqa: T201 # pytest shows it when the test fails
    return seed


def chunks_of(spool: SpoolFile) -> list[int]:
    return [batch.chunk for batch in drained(spool)]


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
    most_bytes=st.integers(1, 200_000),
)
def test_batches_of_every_layout_come_back_with_the_bytes_that_would_have_been_sent(
    form: tuple[str, str], shape: tuple[int, int, int, int], by_restore: bool, most_bytes: int
) -> None:
    grid = Grid(shape=shape)
    kind = Form(layout=form[0], codec=form[1], shape=shape)
    layout = kind.open(b"qwf:psi:" + GENERATION.encode(), by_restore=by_restore)
    psi = stored(kind.codec, wave(*shape))
    wanted = []
    head = head_of(grid, kind)
    with tempfile.TemporaryDirectory() as directory:
        path = spool_path(Path(directory), GENERATION)
        with closing(SpoolFile.create(path, head, limit=LIMIT)) as spool:
            for chunk in kind.plan("C"):
                values = psi.reshape(-1)[: chunk.points] if chunk.flat else psi[chunk.box.slices]
                batch = layout.encode(chunk, values, weight=0.25)
                wanted.append(on_the_wire(batch))
                spool.put([batch])
        with closing(SpoolFile.open(path, limit=LIMIT)) as spool:
            assert spool.head == head
            assert spool.chunks == set(range(len(wanted)))
            found = []
            while rows := spool.rows(most_bytes):
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


def test_what_does_not_fit_the_limit_is_not_in_the_file(path: Path) -> None:
    size = numbered(0).values.nbytes + numbered(1).values.nbytes + 1000
    with closing(SpoolFile.create(path, HEAD, limit=size)) as spool:
        spool.put([numbered(0), numbered(1)])
        with pytest.raises(SpoolFull, match=r"is full: .* bring the server back"):
            spool.put([numbered(0)])
        assert [batch.chunk for _, batch in spool.rows(LIMIT)] == [0, 1]
        spool.remove([1])
        with pytest.raises(SpoolFull, match="is full"):
            spool.put([numbered(0), numbered(1)])  # of which the first would fit
    with closing(SpoolFile.open(path, limit=size)) as spool:
        assert spool.chunks == {1}
        spool.put([numbered(0)])
        assert chunks_of(spool) == [1, 0]
    with closing(SpoolFile.open(path, limit=100)) as spool, pytest.raises(SpoolFull, match="does not fit"):
        spool.put([numbered(0)])


@pytest.mark.parametrize("limit", [300_000, 4_000_000, 9_000_000])
def test_a_full_disk_is_refused_and_the_same_file_goes_on_when_there_is_room(
    tmp_path: Path, path: Path, limit: int
) -> None:
    with process("starve", path.parent, limit) as begun:
        out, _ = begun.communicate(timeout=PATIENCE)
        assert begun.returncode == 0
    check_acks(path, out)


def check_acks(path: Path, out: str) -> None:
    """What a starved process put is there, all of it and nothing else."""
    lines = out.splitlines()
    refused = [line for line in lines if line.startswith("full")]
    assert len(refused) == 3
    assert all("make room on its disk" in line for line in refused)
    put = [int(chunk) for line in lines if not line.startswith("full") for chunk in line.split()]
    with closing(SpoolFile.open(path, limit=LIMIT)) as spool:
        assert chunks_of(spool) == put
        assert not spool.quarantined


def test_a_small_file_system_that_is_full_is_refused_until_there_is_room(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        return  # only root may mount; the limit on the size of files does the same for others
    try:
        path = spool_path(place / "spool", GENERATION)
        ballast = place / "ballast"
        ballast.write_bytes(bytes(3 << 20))
        put: list[int] = []
        with closing(SpoolFile.create(path, HEAD, limit=LIMIT)) as spool:
            for chunk in range(200):
                try:
                    spool.put([numbered(chunk)])
                except SpoolFull:
                    break
                put.append(chunk)
            assert 0 < len(put) < 200
            ballast.unlink()
            spool.put([numbered(200)])
            assert chunks_of(spool) == [*put, 200]
        with closing(SpoolFile.open(path, limit=LIMIT)) as spool:
            spool.delete()
        ballast.write_bytes(bytes(free_bytes(place)))
        with pytest.raises(SpoolFull, match="make room"):
            SpoolFile.create(path, HEAD, limit=LIMIT)
        assert [file.name for file in path.parent.iterdir()] == []
    finally:
        subprocess.run(["umount", place], check=True)


def free_bytes(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


def test_a_second_process_is_refused_even_after_the_heads_were_read(path: Path) -> None:
    with closing(SpoolFile.create(path, HEAD, limit=LIMIT)) as spool:
        spool.put([numbered(1)])
        assert [found.head for found in spools(path.parent)] == [HEAD]
        with process("hold", path.parent) as other:
            out, _ = other.communicate(timeout=PATIENCE)
        assert out.startswith("Refused the spool")
        assert "is in use by another process" in out
        with pytest.raises(Refused, match="in use"):
            SpoolFile.open(path, limit=LIMIT)
        spool.put([numbered(2)])
        assert chunks_of(spool) == [1, 2]
    with process("hold", path.parent) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Refused, match="in use"):
            SpoolFile.open(path, limit=LIMIT)
        with pytest.raises(Refused, match="exists already"):
            SpoolFile.create(path, HEAD, limit=LIMIT)
        other.communicate("", timeout=PATIENCE)
    SpoolFile.open(path, limit=LIMIT).close()


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE batches (id)")


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 3")


def newer_head(path: Path) -> None:
    head = path.with_suffix(".json")
    head.write_text(json.dumps(json.loads(head.read_text()) | {"format": 3}))


def older_head(path: Path) -> None:
    head = path.with_suffix(".json")
    head.write_text(json.dumps(json.loads(head.read_text()) | {"format": 1}))


def flipped_head(path: Path) -> None:
    head = path.with_suffix(".json")
    head.write_text(head.read_text().replace('"name": "psi"', '"name": "psj"'))


DAMAGES = {
    "foreign": (foreign, "another program"),
    "newer": (newer, "update it"),
    "newer head": (newer_head, "update it"),
    "older head": (older_head, "older format version 1.*move it away"),
    "flipped head": (flipped_head, "checksum"),
    "no head": (lambda path: path.with_suffix(".json").unlink(), "missing"),
    "head is a list": (lambda path: path.with_suffix(".json").write_text("[1]"), "no head"),
    "head is deep": (lambda path: path.with_suffix(".json").write_text("[" * 100_000), "no head"),
    "garbage": (lambda path: path.write_bytes(random.Random(1).randbytes(300_000)), "not a database"),
    "empty": (lambda path: path.write_bytes(b""), "another program"),
    "cut": (lambda path: os.truncate(path, 70_000), "malformed"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_spool_of_ours_is_named_and_left_as_it_is(path: Path, damage: str) -> None:
    filled(path, range(3))
    spoil, why = DAMAGES[damage]
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(DamagedData, match=why) as raised:
        SpoolFile.open(path, limit=LIMIT)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert path.read_bytes() == before
    assert not Path(f"{path}-wal").exists()


def test_files_are_the_users_alone(path: Path) -> None:
    with closing(SpoolFile.create(path, HEAD, limit=LIMIT)) as spool:
        spool.put([numbered(1)])
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert modes == dict.fromkeys([path.name, f"{GENERATION}.json", f"{path.name}-wal"], 0o600)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        spool.delete()
    assert list(path.parent.iterdir()) == []


def test_spools_are_found_by_server_and_name_and_damaged_ones_are_told(tmp_path: Path) -> None:
    assert spools(tmp_path / "none") == []
    filled(spool_path(tmp_path, GENERATION), range(1))
    lost = spool_path(tmp_path, "0" * 16)
    lost.write_bytes(b"")
    (tmp_path / "notes.spool").write_text("not ours")
    for wanted, count in (({}, 1), ({"name": "psi", "server": "unix:///s"}, 1), ({"name": "phi"}, 0)):
        found = spools(tmp_path, **wanted)
        assert [item.head for item in found if item.head] == [HEAD] * count
        assert [item.path for item in found if item.problem] == [lost]
    with pytest.raises(InvalidInput):
        spool_path(tmp_path, "../../etc/passwd")
