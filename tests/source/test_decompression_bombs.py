"""Blocks and headers that claim, or unpack to, more than their arrays hold are refused before they fill memory."""

from __future__ import annotations

import subprocess
import sys
import zipfile
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numcodecs  # type: ignore[import-untyped] # it has no types
import numpy as np
import pytest
import zarr
from numcodecs import blosc
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, GzipCodec, TransposeCodec, ZstdCodec
from zarr.codecs import numcodecs as more

from qwf_async.errors import InvalidInput
from qwf_async.source import open_source

Array = NDArray[Any]
SHAPE = (2, 8, 4, 5)
CHUNKS = (1, 4, 4, 5)
PSI = np.arange(320.0).reshape(SHAPE) * (1 + 2j)
HUGE = 3 << 27
"""Bytes to which a block unpacks."""

BOUND = 200
"""MiB that reading may take: zarr itself takes 60."""

BOMBS: dict[str, bytes] = {}
"""What was packed already, by the codec: it takes seconds."""

pytestmark = pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3")


def rle(size: int) -> bytes:
    """Zeros in a frame of zstd that does not state its size, each 128 KiB in four bytes."""
    blocks = [min(1 << 17, size - at) for at in range(0, size, 1 << 17)]
    last = len(blocks) - 1
    headers = ((n << 3 | 2 | (i == last)).to_bytes(3, "little") + b"\0" for i, n in enumerate(blocks))
    return b"\x28\xb5\x2f\xfd\0\x50" + b"".join(headers)


def bomb(codec: Any) -> bytes:
    """Zeros, or what claims to be so many, packed by a codec of numcodecs."""
    if codec.codec_id in ("blosc", "lz4"):  # they say how long they are
        honest = bytearray(codec.encode(np.zeros(1000)))
        place = 4 if codec.codec_id == "blosc" else 0
        honest[place : place + 4] = HUGE.to_bytes(4, "little")
        return bytes(honest)
    if codec.codec_id not in BOMBS:
        BOMBS[codec.codec_id] = bytes(codec.encode(np.zeros(HUGE // 8)))
    return BOMBS[codec.codec_id]


def create(path: Path, **how: Any) -> Path:
    zarr.create_array(path / "psi.zarr", data=PSI, chunks=CHUNKS, **how)
    return path / "psi.zarr"


def peak(*found: str) -> tuple[str, int]:
    """What a process that reads all of each source says, a line for each, and the most memory that it took, in MiB."""
    script = (
        "import resource, sys; from qwf_async.source import open_source; from qwf_async.errors import InvalidInput\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sys.argv[1:]:\n"
        "    try: s = open_source(path); s.read(s.grid.whole)\n"
        "    except InvalidInput as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10)"
    )
    ran = subprocess.run([sys.executable, "-c", script, *found], capture_output=True, text=True, check=True)
    *said, grown = ran.stdout.splitlines()
    return "\n".join(said), int(grown)


VERSION_2: dict[str, Any] = {
    "zstd": numcodecs.Zstd(),
    "gzip": numcodecs.GZip(),
    "zlib": numcodecs.Zlib(),
    "bz2": numcodecs.BZ2(),
    "lzma": numcodecs.LZMA(preset=0),
    "blosc": numcodecs.Blosc(shuffle=blosc.NOSHUFFLE),
    "lz4": numcodecs.LZ4(),
}
BEYOND: dict[str, dict[str, Any]] = {
    "by qwf": {},
    "by zarr, in Fortran order": {"order": "F"},
    "by zarr, filtered": {"filters": numcodecs.Shuffle(elementsize=8)},
}


@pytest.mark.parametrize("how", BEYOND)
def test_blocks_of_version_2_are_read_and_refused_where_they_unpack_to_more(tmp_path: Path, how: str) -> None:
    paths = []
    for name, codec in VERSION_2.items():
        path = create(tmp_path / name, zarr_format=2, compressors=codec, **BEYOND[how])
        with closing(open_source(str(path))) as source:
            np.testing.assert_array_equal(source.read(source.grid.whole), PSI)
        (path / "1.1.0.0").write_bytes(bomb(codec))
        paths.append(str(path))
    check_all_refused(*paths)


def check_all_refused(*paths: str) -> None:
    said, grown = peak(*paths)
    assert [line for line in said.splitlines() if "it unpacks to" in line] == said.splitlines()
    assert len(said.splitlines()) == len(paths), said
    assert grown < BOUND


VERSION_3: dict[str, tuple[Any, Any]] = {
    "zstd": (ZstdCodec, numcodecs.Zstd()),
    "gzip": (GzipCodec, numcodecs.GZip()),
    "blosc": (BloscCodec, numcodecs.Blosc(shuffle=blosc.NOSHUFFLE)),
    "zlib": (more.Zlib, numcodecs.Zlib()),
}


@pytest.mark.parametrize("turned", [False, True])
def test_blocks_of_version_3_are_read_and_refused_where_they_unpack_to_more(
    tmp_path: Path, turned: bool
) -> None:
    how: dict[str, Any] = {"filters": TransposeCodec(order=(3, 1, 0, 2))} if turned else {}
    paths = []
    for name, (compressor, codec) in VERSION_3.items():
        path = create(tmp_path / name, compressors=compressor(), **how)
        with closing(open_source(str(path))) as source:
            np.testing.assert_array_equal(source.read(source.grid.whole), PSI)
        (path / "c/1/1/0/0").write_bytes(bomb(codec))
        paths.append(str(path))
    check_all_refused(*paths)


def test_a_frame_of_zstd_that_does_not_state_its_size_is_unpacked_to_what_is_needed(tmp_path: Path) -> None:
    path = create(tmp_path)
    block = path / "c/1/1/0/0"
    block.write_bytes(rle(1280))
    with closing(open_source(str(path))) as source:
        assert not source.read(source.grid.whole)[1, 4:].any()
    block.write_bytes(rle(HUGE))
    said, grown = peak(str(path))
    assert "c/1/1/0/0 cannot be unpacked" in said
    assert grown < BOUND


def test_blocks_in_shards_are_refused_too(tmp_path: Path) -> None:
    path = create(tmp_path, shards=(2, 8, 4, 5), compressors=GzipCodec())
    with closing(open_source(str(path))) as source:
        np.testing.assert_array_equal(source.read(source.grid.whole), PSI)
    file = path / "c/0/0/0/0"
    packed = bomb(numcodecs.GZip())
    index = np.frombuffer(file.read_bytes()[-68:-4], "<u8").reshape(4, 2).copy()
    index[3] = len(file.read_bytes()) - 68, len(packed)
    table = index.tobytes()
    check = bytes(numcodecs.CRC32C(location="end").encode(table))[-4:]
    file.write_bytes(file.read_bytes()[:-68] + packed + table + check)
    said, grown = peak(str(path))
    assert "it unpacks to more than the 1280 bytes" in said
    assert grown < BOUND


def test_several_codecs_one_after_another_are_read(tmp_path: Path) -> None:
    path = create(tmp_path, compressors=[ZstdCodec(), GzipCodec(), more.CRC32C()])
    with closing(open_source(str(path))) as source:
        np.testing.assert_array_equal(source.read(source.grid.whole), PSI)


def test_several_members_of_gzip_are_one_block(tmp_path: Path) -> None:
    path = create(tmp_path, compressors=GzipCodec())
    block, codec = path / "c/1/1/0/0", numcodecs.GZip()
    block.write_bytes(codec.encode(bytes(1000)) + codec.encode(bytes(280)) + bytes(7))
    with closing(open_source(str(path))) as source:
        assert not source.read(source.grid.whole)[1, 4:].any()
    block.write_bytes(codec.encode(bytes(1000))[:-9])
    with (
        closing(open_source(str(path))) as source,
        pytest.raises(InvalidInput, match="cannot be unpacked: it is cut"),
    ):
        source.read(source.grid.whole)


def test_a_coordinate_that_claims_more_than_its_dimension_is_not_read(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "all.zarr", mode="w")
    group.create_array("psi", data=PSI, dimension_names=("t", "x", "y", "z"))
    group.create_array("x", shape=(1 << 40,), dtype="f8", chunks=(1 << 20,), dimension_names=("x",))
    said, grown = peak(f"{tmp_path}/all.zarr:psi")
    assert "has the shape (1099511627776,)" in said
    assert grown < BOUND


def hdf5(path: Path, block: bytes, *, filters: tuple[int, ...] = (2, 1)) -> str:
    """ψ in two blocks, packed by filters of these numbers, the second of which is this one."""
    # Once netCDF4 is imported, HDF5 finds another blosc there, which cannot be used for writing by h5py.
    hdf5plugin.register(("blosc", "zstd"), force=True)
    with h5py.File(path / "psi.h5", "w") as file:
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_chunk((1, *SHAPE[1:]))
        for number in filters:
            if number == 2:
                create.set_shuffle()
            else:
                create.set_filter(number, h5py.h5z.FLAG_OPTIONAL, (4,) if number == 1 else ())
        space, kind = h5py.h5s.create_simple(SHAPE), h5py.h5t.py_create(PSI.dtype, logical=True)
        data = h5py.h5d.create(file.id, b"psi", kind, space, dcpl=create)
        data.write_direct_chunk((0, 0, 0, 0), PSI[0].tobytes(), filter_mask=(1 << len(filters)) - 1)
        data.write_direct_chunk((1, 0, 0, 0), block)
    return f"{path}/psi.h5"


def shuffled(values: Array) -> bytes:
    """Bytes sorted by their place within a number of sixteen."""
    return np.frombuffer(values.tobytes(), np.uint8).reshape(-1, 16).T.tobytes()


def test_blocks_of_hdf5_that_deflate_has_packed_are_unpacked_as_the_library_does(tmp_path: Path) -> None:
    source = hdf5(tmp_path, zlib.compress(shuffled(PSI[1])))
    with h5py.File(source) as file:
        np.testing.assert_array_equal(file["psi"][...], PSI)
    with closing(open_source(source)) as opened:
        np.testing.assert_array_equal(opened.read(opened.grid.whole), PSI)


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        (zlib.compress(bytes(2559)), "unpacks to 2559 bytes, where its array says 2560"),
        (zlib.compress(bytes(2561)), "cannot be unpacked: it unpacks to more than the 2560 bytes"),
        (zlib.compress(bytes(2560))[:-5], "cannot be unpacked: it is cut short"),
        (b"no zlib", "cannot be unpacked: Error -3 while decompressing"),
    ],
)
def test_blocks_of_hdf5_of_another_length_are_refused(tmp_path: Path, block: bytes, fault: str) -> None:
    """Of the library's own reading the first would have ended with what happens to lie in memory."""
    with closing(open_source(hdf5(tmp_path, block))) as source, pytest.raises(InvalidInput) as caught:
        source.read(source.grid.whole)
    assert f"psi.h5:/psi is damaged: its block at (1, 0, 0, 0) {fault}" in str(caught.value)


@pytest.mark.parametrize(
    "codec", [numcodecs.Zlib(), numcodecs.Zstd(), numcodecs.Blosc(shuffle=blosc.NOSHUFFLE)]
)
def test_blocks_of_hdf5_that_unpack_to_more_fill_no_memory(tmp_path: Path, codec: Any) -> None:
    """A few bytes of zstd or blosc can claim anything; of deflate no more of them are taken than a block has."""
    number = {"zlib": 1, "zstd": 32015, "blosc": 32001}[codec.codec_id]
    packed = bomb(codec)[:2500] if codec.codec_id == "zlib" else bomb(codec)
    source = hdf5(tmp_path, packed, filters=(number,))
    said, grown = peak(source)
    assert "psi.h5:/psi is damaged: its block at (1, 0, 0, 0) " in said
    assert grown < BOUND


def test_blocks_of_hdf5_that_are_longer_packed_than_unpacked_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"its block at \(1, 0, 0, 0\) has 10000 bytes packed, where its array says 2560"
    ):
        open_source(hdf5(tmp_path, bytes(10_000)))


@pytest.mark.parametrize("way", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_of_npz_that_cannot_be_unpacked_within_bounds_are_refused(tmp_path: Path, way: int) -> None:
    with zipfile.ZipFile(tmp_path / "psi.npz", "w", way) as archive, archive.open("psi.npy", "w") as file:
        np.lib.format.write_array(file, np.zeros(HUGE // 16, complex))
    said, grown = peak(f"{tmp_path}/psi.npz")
    assert "psi.npz:psi is packed in another way than by numpy.savez_compressed" in said
    assert grown < BOUND
