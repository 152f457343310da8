"""Replies that are read without hiredis give what hiredis gives; no other reply is read so."""

from __future__ import annotations

import hiredis
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qwf_async.client.parser import only_text

TEXTS = st.binary(max_size=40) | st.integers(0, 9000).map(bytes)
NEAR = st.lists(
    st.sampled_from(
        [
            b"*1\r\n",
            b"*",
            b"$",
            b"1",
            b"0",
            b"-1",
            b"3",
            b"+",
            b"\r\n",
            b"\n",
            b"abc",
            b"\r\n$3\r\n",
            b"*1\r\n$3\r\n",
        ]
    ),
    max_size=8,
).map(b"".join)


def reply(text: bytes) -> bytes:
    return b"*1\r\n$%d\r\n%s\r\n" % (len(text), text)


@given(TEXTS)
def test_one_text_in_an_array_is_found(text: bytes) -> None:
    assert only_text(reply(text)) == text


@given(NEAR | st.tuples(TEXTS, NEAR).map(lambda parts: reply(parts[0]) + parts[1]))
@example(b"*1\r\n$03\r\nabc\r\n")
@example(b"*1\r\n$-1\r\n")
@example(b"*1\r\n$-1\r\n\r\n")
@example(b"*1\r\n$+3\r\nabc\r\n")
@example(b"*1\r\n$ 3\r\nabc\r\n")
@example(b"*1\r\n$3\r\nabcd\r\n")
@example(b"*1\r\n$1\r\n\r\n")
def test_what_is_found_is_what_hiredis_makes_of_it(data: bytes) -> None:
    found = only_text(data)
    if found is None:
        return
    reader = hiredis.Reader()
    reader.feed(data)
    assert reader.gets() == [found]
    assert not reader.has_data()


@given(TEXTS.filter(bool), st.data())
def test_a_part_of_a_reply_is_no_reply(text: bytes, data: st.DataObject) -> None:
    whole = reply(text)
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert only_text(whole[:cut]) is None


@pytest.mark.parametrize(
    "other",
    [
        b"$3\r\nabc\r\n",
        b"*1\r\n$-1\r\n",
        b"*2\r\n$1\r\na\r\n$1\r\nb\r\n",
        b"*0\r\n",
        b":1\r\n",
        b"-ERR no\r\n",
        b"+OK\r\n",
        b"*1\r\n:1\r\n",
    ],
)
def test_other_replies_are_left_to_hiredis(other: bytes) -> None:
    assert only_text(other) is None
