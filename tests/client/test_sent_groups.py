"""What is handed to the kernel at a time: so little that a slow peer is seen to take it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qwf_async.client.connection import SEND_BYTES, send_groups

sizes = st.integers(1, 9) | st.integers(SEND_BYTES - 1, SEND_BYTES + 1) | st.just(3 * SEND_BYTES + 5)


@given(st.lists(sizes, max_size=12))
def test_groups_are_all_bytes_in_order_and_none_is_large(lengths: list[int]) -> None:
    buffers = [bytes([number]) * length for number, length in enumerate(lengths)]
    groups = send_groups(buffers)
    assert b"".join(map(bytes, (buffer for group in groups for buffer in group))) == b"".join(buffers)
    assert all(0 < sum(map(len, group)) < 2 * SEND_BYTES for group in groups)
