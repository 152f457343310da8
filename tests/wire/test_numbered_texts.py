"""Keys and fields of points that lie anywhere, held against Python's formatting byte for byte."""

from __future__ import annotations

import hiredis
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qwf_async.wire.numbered_texts import NumberedTexts, hmget, of_keys

numbers = (
    st.integers(0, 120)
    | st.integers(0, 10**18)
    | st.sampled_from([10**k - d for k in range(1, 18) for d in (0, 1)])
)


def column(values: list[int]) -> NDArray[np.int64]:
    return np.array(values, np.int64)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=30))
def test_texts_are_as_python_formats_them(pairs: list[tuple[int, int]]) -> None:
    x, y = (column(list(values)) for values in zip(*pairs, strict=True))
    texts = NumberedTexts(parts=(b"x", x, b"_y", y, b"."))
    plain = [b"x%d_y%d." % pair for pair in pairs]
    assert [texts[i] for i in range(len(texts))] == plain
    assert texts.lengths.tolist() == list(map(len, plain))
    out = np.zeros(int(texts.lengths.sum()), np.uint8)
    texts.write(out, np.cumsum(texts.lengths) - texts.lengths)
    assert out.tobytes() == b"".join(plain)


@given(st.lists(st.tuples(numbers, st.lists(numbers, min_size=1, max_size=12)), min_size=1, max_size=20))
def test_requests_are_parsed_as_what_was_asked_for(asked: list[tuple[int, list[int]]]) -> None:
    keys = NumberedTexts(parts=(b"key", column([key for key, _ in asked])))
    fields = NumberedTexts(parts=(column([field for _, some in asked for field in some]),))
    request = hmget(keys, fields, column([len(some) for _, some in asked]))
    assert parsed(bytes(request), len(asked)) == [
        [b"HMGET", b"key%d" % key, *(b"%d" % field for field in some)] for key, some in asked
    ]
    assert parsed(bytes(of_keys(b"HGETALL", keys)), len(asked)) == [
        [b"HGETALL", b"key%d" % key] for key, _ in asked
    ]


def parsed(requests: bytes, count: int) -> list[list[bytes]]:
    """Requests as hiredis reads them; not a byte may be left over."""
    reader = hiredis.Reader()
    reader.feed(requests)
    found = [reader.gets() for _ in range(count)]
    assert not reader.has_data()
    return found
