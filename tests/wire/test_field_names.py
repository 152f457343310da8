"""The vectorised field names against a plain twin, byte for byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qwf_async.lattice.grid import Box
from qwf_async.wire.arena import Arena
from qwf_async.wire.field_names import box_records
from qwf_async.wire.resp import bulk


def spans(most: int, start: int = 0) -> st.SearchStrategy[tuple[int, int]]:
    edges = st.sampled_from([0, 1, 8, 9, 10, 98, 99, 100, 999, 1000, 9_999_999])
    starts = st.one_of(edges, st.integers(start, 2**40))
    return st.tuples(starts, st.integers(1, most)).map(lambda pair: (pair[0], sum(pair)))


@given(spans(3), spans(4), spans(4), spans(15), st.binary(max_size=20))
def test_records_are_the_fields_of_the_box_as_bulk_strings(
    t: tuple[int, int], x: tuple[int, int], y: tuple[int, int], z: tuple[int, int], tail: bytes
) -> None:
    box = Box(start=(t[0], x[0], y[0], z[0]), stop=(t[1], x[1], y[1], z[1]))
    found = {}
    for block in box_records(box, lambda name: bulk(name) + tail, Arena()):
        for it in range(block.box.shape[0]):
            for ix in range(block.box.shape[1]):
                for iy in range(block.box.shape[2]):
                    for iz in range(block.box.shape[3]):
                        point = tuple(a + b for a, b in zip(block.box.start, (it, ix, iy, iz), strict=True))
                        found[point] = block.data[it, ix, iy, iz].tobytes()
    expected = {}
    for it in range(*t):
        for ix in range(*x):
            for iy in range(*y):
                for iz in range(*z):
                    name = f"x{ix}_y{iy}_z{iz}_t{it}".encode()
                    expected[it, ix, iy, iz] = b"$%d\r\n%s\r\n%s" % (len(name), name, tail)
    assert found == expected


def test_a_slab_is_given_out_again_only_when_no_view_of_it_is_left() -> None:
    arena = Arena()
    taken = arena.take(1000)
    address = taken.ctypes.data
    view = taken[10:20].reshape(2, 5).data
    del taken
    assert arena.take(1000).ctypes.data != address
    del view
    assert address in {arena.take(1000).ctypes.data, arena.take(1000).ctypes.data}
