"""Files stored in blocks: read beside the library, kept on disk where memory is short, ahead, and watched."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import h5py
import numcodecs  # type: ignore[import-untyped] # it has no types
import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, BytesCodec, GzipCodec, TransposeCodec

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Box, Shape4
from qwf_async.lattice.plan import BoxPlan, Plan, RangePlan
from qwf_async.source import Source, open_source
from qwf_async.source.formats import block_cache, read_ahead
from qwf_async.source.formats.zarr import zarr_blocks

Array = NDArray[Any]
SHAPE = (2, 13, 9, 10)
BLOCKS = (1, 4, 4, 5)


def wave(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> Array:
    numbers = np.random.default_rng(seed).normal(size=(*shape, 2))
    return numbers.view(np.complex128)[..., 0]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small blocks are treated as large ones are."""
    monkeypatch.setattr(block_cache, "RUN_BYTES", 1)
    monkeypatch.setattr(block_cache, "CELL_BYTES", 1)
    monkeypatch.setattr(read_ahead, "AHEAD_POINTS", 1)
    monkeypatch.setattr(sys.modules["qwf_async.source.formats.hdf5.hdf5_blocks"], "PLAIN_BYTES", 1)
    monkeypatch.setattr(zarr_blocks, "MAX_OPEN_BLOCKS", 3)


def h5(path: Path, psi: Array, **how: Any) -> str:
    with h5py.File(path / "psi.h5", "w", userblock_size=how.pop("userblock_size", 0)) as file:
        file["other"] = np.arange(3)
        chunks = tuple(min(a, b) for a, b in zip(BLOCKS, psi.shape, strict=True))
        file.create_dataset("psi", data=psi, chunks=chunks, **how)
    return f"{path}/psi.h5:psi"


def h5_unshrunk(path: Path, psi: Array) -> str:
    """No block is filled up with zeros, at the ends, that would shrink."""
    psi.resize((2, 12, 8, 10), refcheck=False)
    return h5(path, psi, compression="lzf")


def h5_half_packed(path: Path, psi: Array) -> str:
    """Some blocks shrink under lzf, others do not, and are left as they are."""
    psi[0, :4] = 0
    return h5(path, psi, compression="lzf")


def h5_holes(path: Path, psi: Array) -> str:
    """Blocks that were never written."""
    with h5py.File(path / "psi.h5", "w") as file:
        data = file.create_dataset("psi", psi.shape, psi.dtype, chunks=BLOCKS, fillvalue=3 - 1j)
        data[1, :5] = psi[1, :5]
    psi[0], psi[1, 5:] = 3 - 1j, 3 - 1j
    return f"{path}/psi.h5:psi"


def stored(path: Path, psi: Array, **how: Any) -> str:
    zarr.create_array(path / "psi.zarr", data=psi, chunks=BLOCKS, **how)
    return f"{path}/psi.zarr"


def zarr_holes(path: Path, psi: Array) -> str:
    group = zarr.open_group(path / "psi.zarr", mode="w")
    data = group.create_array(
        "g/psi", shape=psi.shape, dtype=psi.dtype, chunks=BLOCKS, fill_value=3 - 1j, compressors=None
    )
    data[1, :5] = psi[1, :5]
    psi[0], psi[1, 5:] = 3 - 1j, 3 - 1j
    return f"{path}/psi.zarr:g/psi"


PLAIN: dict[str, Callable[[Path, Array], str]] = {
    "HDF5": h5,
    "HDF5 behind a block of the user's": lambda p, psi: h5(p, psi, userblock_size=512),
    "HDF5 with holes": h5_holes,
    "HDF5 that lzf cannot shrink": h5_unshrunk,
    "Zarr 3": lambda p, psi: stored(p, psi, compressors=None),
    "Zarr 2": lambda p, psi: stored(p, psi, compressors=None, zarr_format=2),
    "Zarr with holes": zarr_holes,
}
PACKED: dict[str, Callable[[Path, Array], str]] = {
    "HDF5 gzip": lambda p, psi: h5(p, psi, compression=1, shuffle=True),
    "HDF5 half packed": h5_half_packed,
    "Zarr 3 zstd": stored,
    "Zarr 3 gzip": lambda p, psi: stored(p, psi, compressors=GzipCodec()),
    "Zarr 3 blosc": lambda p, psi: stored(p, psi, compressors=BloscCodec()),
    "Zarr 3 big-endian": lambda p, psi: stored(p, psi, serializer=BytesCodec(endian="big"), compressors=None),
    "Zarr 3 turned": lambda p, psi: stored(p, psi, filters=TransposeCodec(order=(3, 1, 0, 2))),
    "Zarr 3 in shards": lambda p, psi: stored(p, psi, shards=(2, 8, 4, 10)),
    "Zarr 2 in Fortran order": lambda p, psi: stored(p, psi, zarr_format=2, order="F"),
    "Zarr 2 with a filter": lambda p, psi: stored(
        p, psi, zarr_format=2, filters=numcodecs.Shuffle(elementsize=8)
    ),
    "Zarr 2 lz4": lambda p, psi: stored(p, psi, zarr_format=2, compressors=numcodecs.LZ4()),
}


def check(source: Source, psi: Array) -> None:
    """Every plan reads what was written, and so do boxes in no order at all."""
    chance = random.Random(psi.size)
    shape = shape4(psi)
    plans: list[Plan] = [
        *(BoxPlan.cut(shape, order=order, points=90) for order in ("C", "F")),
        BoxPlan(shape=shape, chunk=(1, 3, 5, 4)),
        RangePlan(shape=shape, length=77),
    ]
    for plan in plans:
        for chunk in plan:
            for box in chunk.boxes:
                np.testing.assert_array_equal(source.read(box), psi[box.slices])
    for _ in range(50):
        start = tuple(chance.randrange(n) for n in psi.shape)
        stop = tuple(chance.randint(a + 1, n) for a, n in zip(start, psi.shape, strict=True))
        box = Box(start=start, stop=stop)  # type: ignore[arg-type] # four of each
        np.testing.assert_array_equal(source.read(box), psi[box.slices])


def shape4(psi: Array) -> Shape4:
    t, x, y, z = psi.shape
    return t, x, y, z


@pytest.mark.parametrize("make", PLAIN.values(), ids=PLAIN.keys())
def test_parts_of_blocks_of_plain_numbers_are_read_where_they_lie(
    make: Callable[[Path, Array], str], tmp_path: Path
) -> None:
    psi = wave().copy()
    with closing(open_source(make(tmp_path, psi))) as source:
        assert source.cache is None  # type: ignore[attr-defined] # of VariableSource
        check(source, psi)


@pytest.mark.parametrize("held", [0, 3000, 10**6], ids=["on disk", "partly in memory", "in memory"])
@pytest.mark.parametrize("make", PACKED.values(), ids=PACKED.keys())
def test_packed_blocks_are_kept_in_memory_or_in_a_file_without_a_name(
    make: Callable[[Path, Array], str], held: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_cache, "MEMORY_BYTES", held)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    psi = wave()
    with closing(open_source(make(tmp_path, psi))) as source:
        check(source, psi)
        assert (source.cache._files is None) == (held == 10**6)  # type: ignore[attr-defined] # of VariableSource
        assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize("held", [0, 10**6])
@pytest.mark.parametrize("dims", ["z,y,x,t", "x,t,z,y"])
@pytest.mark.parametrize("make", [PLAIN["HDF5"], PLAIN["Zarr 3"], PACKED["Zarr 3 zstd"]])
def test_blocks_in_another_order_than_that_of_reading_are_read_whole(
    make: Callable[[Path, Array], str],
    dims: str,
    held: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(block_cache, "MEMORY_BYTES", held)
    psi = wave()
    text = make(tmp_path, psi.transpose(["txyz".index(letter) for letter in dims.split(",")]))
    with closing(open_source(text, dims=dims)) as source:
        check(source, psi)


def test_each_packed_block_is_unpacked_once_and_forgotten_when_all_of_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_cache, "MEMORY_BYTES", 3000)
    psi, seen = wave(), []
    inner = zarr_blocks.ZarrBlocks._part

    def part(self: Any, place: Any, within: Any) -> Any:
        seen.append(place)
        return inner(self, place, within)

    monkeypatch.setattr(zarr_blocks.ZarrBlocks, "_part", part)
    with closing(open_source(stored(tmp_path, psi))) as source:
        for chunk in BoxPlan.cut(psi.shape, points=90):
            np.testing.assert_array_equal(source.read(chunk.box), psi[chunk.box.slices])
        assert not source.cache._kept  # type: ignore[attr-defined] # of VariableSource
    assert len(seen) == len(set(seen)) == 2 * 4 * 3 * 2


def test_no_room_for_what_is_kept_is_said_with_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_cache, "MEMORY_BYTES", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with closing(open_source(stored(tmp_path, wave()))) as source:
        with pytest.raises(InvalidInput, match="gone: No such file or directory; set TMPDIR"):
            source.read(Box(start=(0, 0, 0, 0), stop=(1, 1, 1, 1)))

        def full(*_: Any) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(InvalidInput, match="No space left on device; set TMPDIR"):
            source.read(Box(start=(0, 0, 0, 0), stop=(1, 1, 1, 1)))


def test_a_file_in_thick_packed_blocks_needs_memory_for_a_few_of_them(tmp_path: Path) -> None:
    zarr.create_array(
        tmp_path / "psi.zarr", shape=(128, 256, 256), dtype=complex, chunks=(64, 64, 64), fill_value=1.0
    )[:, :100] = 2.0
    script = (
        "import sys; from qwf_async.source import open_source; from qwf_async.lattice.plan import BoxPlan\n"
        "def anonymous(): return int(next(l for l in open('/proc/self/status') if 'RssAnon' in l).split()[1])\n"
        "source = open_source(sys.argv[1]); before = most = anonymous()\n"
        "for chunk in BoxPlan.cut(source.grid.shape):\n"
        "    source.read(chunk.box); most = max(most, anonymous())\n"
        "print(most - before); source.close()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "psi.zarr"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert int(ran.stdout) < 40 * 1024  # KiB; all blocks side by side have 64 MiB


def read_all(source: Source, plan: BoxPlan) -> None:
    for chunk in plan:
        source.read(chunk.box)


def blocks_of(directory: Path) -> Iterator[Path]:
    yield from (path for path in sorted(directory.rglob("*")) if path.is_file() and path.suffix != ".json")


def touched(directory: Path) -> None:
    path = next(blocks_of(directory))
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


def put_back(directory: Path) -> None:
    """As from a copy: of the same size, and older than the newest."""
    os.utime(next(blocks_of(directory)), ns=(1, 1))


def removed(directory: Path) -> None:
    next(blocks_of(directory)).unlink()


def added(directory: Path) -> None:
    (directory / "c" / "1" / "new").write_bytes(b"")


@pytest.mark.parametrize("change", [touched, put_back, removed, added])
@pytest.mark.parametrize("compressors", [None, "auto"])
def test_a_zarr_directory_that_is_changed_while_it_is_read_is_noticed(
    change: Callable[[Path], None], compressors: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_cache, "MEMORY_BYTES", 0)  # else all of it is read at once
    psi = wave()
    text = stored(tmp_path, psi, compressors=compressors)
    plan = BoxPlan.cut(psi.shape, points=90)
    with closing(open_source(text)) as source:
        before = source.fingerprint()
        source.read(plan[0].box)
        change(tmp_path / "psi.zarr")
        with pytest.raises(InvalidInput, match="was changed while it was read: start again"):
            read_all(source, plan)
        assert source.fingerprint() != before
    with closing(open_source(text)) as source:
        assert source.fingerprint() != before


def test_a_copy_of_a_zarr_directory_with_its_times_is_read_to_the_end(tmp_path: Path) -> None:
    psi = wave()
    stored(tmp_path, psi)
    shutil.copytree(tmp_path / "psi.zarr", tmp_path / "copy.zarr")
    with closing(open_source(f"{tmp_path}/copy.zarr")) as source:
        check(source, psi)


@pytest.mark.parametrize("compressors", [None, "auto"])
def test_a_block_of_another_length_is_refused(compressors: Any, tmp_path: Path) -> None:
    text = stored(tmp_path, wave(), compressors=compressors)
    path = next(blocks_of(tmp_path / "psi.zarr"))
    numbers = np.zeros(7).tobytes()
    path.write_bytes(numbers if compressors is None else numcodecs.Zstd().encode(numbers))
    with (
        closing(open_source(text)) as source,
        pytest.raises(InvalidInput, match="holds 56 bytes of numbers, where its array says 1280"),
    ):
        source.read(source.grid.whole)


def test_the_box_that_follows_is_read_while_the_last_one_is_used() -> None:
    psi, asked, begun = wave((1, 8, 4, 4)), [], Event()
    plan = BoxPlan(shape=(1, 8, 4, 4), chunk=(1, 2, 4, 4))
    reader = read_ahead.ReadAhead(shape=plan.shape, order="C")

    def load(box: Box) -> Array:
        asked.append(box)
        if box == plan[2].box:
            begun.set()
        if box == plan[3].box:
            raise InvalidInput("damaged")
        return psi[box.slices]

    with closing(reader):
        reader.read(plan[0].box, load)
        assert asked == [plan[0].box]
        reader.read(plan[1].box, load)
        assert begun.wait(30)
        np.testing.assert_array_equal(reader.read(plan[2].box, load), psi[plan[2].box.slices])
        with pytest.raises(InvalidInput, match="damaged"):
            reader.read(plan[3].box, load)
        assert asked == [chunk.box for chunk in plan]


def test_what_was_read_ahead_for_nothing_is_dropped() -> None:
    psi, asked = wave((1, 8, 4, 4)), []
    plan = BoxPlan(shape=(1, 8, 4, 4), chunk=(1, 2, 4, 4))
    reader = read_ahead.ReadAhead(shape=plan.shape, order="C")

    def load(box: Box) -> Array:
        asked.append(box)
        if box == plan[2].box:
            raise InvalidInput("damaged")
        return psi[box.slices]

    with closing(reader):
        for number in (0, 1, 3, 1, 0):
            np.testing.assert_array_equal(reader.read(plan[number].box, load), psi[plan[number].box.slices])
    assert asked == [plan[number].box for number in (0, 1, 2, 3, 1, 0)]
