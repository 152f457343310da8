"""`python tests/support/spool_processes.py ROAD DIRECTORY …`: processes that spool, to be killed or starved for a test.

`kill` forks one after the other, and kills each at a random moment (kill -9) while it puts
batches and notes the chunks that were put. `starve` may
write no file beyond LIMIT bytes; it says what it was told, and goes on in the same file when
the limit is lifted. `hold` opens the spool and waits for the end of its input.
"""

# ruff: noqa: T201 # a program that prints

from __future__ import annotations

import itertools
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from qwf_async.catalog.manifest import Manifest
from qwf_async.errors import QwfError, SpoolFull
from qwf_async.lattice.grid import Grid
from qwf_async.layout import Form
from qwf_async.spool import Row, SpoolFile, SpoolHead, spool_path
from qwf_async.wire.batch import Batch

GENERATION = "0123456789abcdef"
LIMIT = 1 << 40
"""No limit."""


def head_of(grid: Grid, form: Form | None = None, name: str = "psi", server: str = "unix:///s") -> SpoolHead:
    form = form or Form.of(layout="flat", codec="c16", shape=grid.shape)
    manifest = Manifest(generation=GENERATION, form=form, grid=grid, source="x", fingerprint="f")
    return SpoolHead(server=server, prefix="qwf", name=name, manifest=manifest, overwrites="f" * 16)


HEAD = head_of(Grid.cube(64, box=20.0))


def numbered(chunk: int) -> Batch:
    """The batch of a number: of random size, so that it lies in one page or in several, and random values."""
    rng = np.random.default_rng(chunk)
    sizes = rng.choice([10, 3_000, 60_000, 200_000], size=3)
    values = np.frombuffer(rng.bytes(16 * (int(sum(sizes)) // 16)), np.complex128)
    return Batch(
        chunk=chunk, points=values.size, parts=(), digest=2**64 - 1 - chunk, weight=0.1 * chunk, values=values
    )


def sent(item: Batch | Row) -> object:
    """All that a spool keeps of a chunk."""
    values = item.values if isinstance(item, Row) else np.ascontiguousarray(item.values)
    return item.chunk, item.digest, item.weight, bytes(values)


@contextmanager
def process(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """The helper program, killed at the end if it still runs."""
    command = [sys.executable, __file__, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as begun:
        try:
            yield begun
        finally:
            begun.kill()


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


def chunks_of(spool: SpoolFile) -> list[int]:
    return [batch.chunk for batch in drained(spool)]


def kill(directory: Path, seed: int, kills: int) -> None:
    chance = random.Random(seed)
    for number in range(kills):
        place = directory / str(number)
        place.mkdir(mode=0o700)
        (place / "notes").touch()
        from_the_start, seconds = chance.random() < 0.2, chance.uniform(0, 0.1)
        child = os.fork()
        if child == 0:
            put_until_killed(place, chance)
        # Most of them by when the first batch was put: a busy machine takes its time until then.
        end = time.monotonic() + 60
        while not from_the_start and not (place / "notes").stat().st_size and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(seconds)  # the moment is what is tested
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def put_until_killed(directory: Path, chance: random.Random) -> None:
    notes = os.open(directory / "notes", os.O_WRONLY | os.O_APPEND)

    def note(*words: object) -> None:
        os.write(notes, (" ".join(map(str, words)) + "\n").encode())

    spool = SpoolFile.create(spool_path(directory, GENERATION), HEAD, limit=LIMIT)
    chunks = itertools.count()
    for group in itertools.cycle((1, 4, 2)):
        some = list(itertools.islice(chunks, group))
        spool.put(map(numbered, some))
        note("put", *some)
        # Rows go, and others take their pages: every third chunk is "replayed" at once.
        rows = spool.rows(LIMIT) if chance.random() < 0.3 else []
        gone = [(sequence, batch.chunk) for sequence, batch in rows if batch.chunk % 3 == 0]
        if gone:
            note("going", *(chunk for _, chunk in gone))
            spool.remove(sequence for sequence, _ in gone)


def starve(directory: Path, limit: int) -> None:
    spool = SpoolFile.create(spool_path(directory, GENERATION), HEAD, limit=LIMIT)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    refusals = 0
    chunk = 0
    while refusals < 3:
        try:
            spool.put(map(numbered, range(chunk, chunk + 4)))
        except SpoolFull as error:
            print("full", error, flush=True)
            refusals += 1
        else:
            print(*range(chunk, chunk + 4), flush=True)
        chunk += 4
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    for more in (chunk, chunk + 1):
        spool.put([numbered(more)])
        print(more, flush=True)
    spool.close()


def hold(directory: Path) -> None:
    try:
        spool = SpoolFile.open(spool_path(directory, GENERATION), limit=LIMIT)
    except QwfError as error:
        print(type(error).__name__, error, flush=True)
        return
    print("held", flush=True)
    sys.stdin.read()
    spool.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["kill", directory, seed, kills]:
            kill(Path(directory), int(seed), int(kills))
        case ["starve", directory, limit]:
            starve(Path(directory), int(limit))
        case ["hold", directory]:
            hold(Path(directory))
