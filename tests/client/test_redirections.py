"""Replies by which a node of a cluster names another node, as the library parses them."""

from __future__ import annotations

import re

import pytest

from qwf_async.client.failure import Asked, Moved, ServerBusy, UnexpectedReply, translate
from qwf_async.client.redis_private import error_reply


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("3999 127.0.0.1:6381", (3999, "127.0.0.1", 6381)),
        ("0 ::1:6381", (0, "::1", 6381)),
        ("16383 node-2.example.org:0", (16383, "node-2.example.org", 0)),
        ("1 :7000", (1, "", 7000)),
        ("1 ?:7000", (1, "?", 7000)),
    ],
)
@pytest.mark.parametrize(("prefix", "leaf"), [("MOVED", Moved), ("ASK", Asked)])
def test_a_redirection_holds_the_slot_and_the_node(
    prefix: str, leaf: type[Moved | Asked], text: str, target: tuple[int, str, int]
) -> None:
    error = translate(error_reply(f"{prefix} {text}"), where="redis://h:6379")
    assert isinstance(error, leaf)
    assert (error.slot, error.host, error.port) == target
    assert isinstance(error, ServerBusy)  # it is an answer, and no outage


def test_a_redirection_says_where_to_and_what_to_do_if_it_lasts() -> None:
    for reply, message in (
        ("MOVED 3999 127.0.0.1:6381", r"slot 3999 has moved to 127\.0\.0\.1:6381; .*--cluster check"),
        ("ASK 3999 ::1:6381", r"slot 3999 is moving to \[::1\]:6381; .*--cluster fix"),
    ):
        error = translate(error_reply(reply), where="redis://h:6379", doing="testing")
        assert re.search(rf"^redis://h:6379 while testing: the {message}", str(error))


@pytest.mark.parametrize("text", ["16384 h:1", "1 h:65536", "-1 h:1"])
@pytest.mark.parametrize("prefix", ["MOVED", "ASK"])
def test_what_names_no_slot_or_port_is_no_redirection(prefix: str, text: str) -> None:
    error = translate(error_reply(f"{prefix} {text}"), where="redis://h:6379")
    assert type(error) is UnexpectedReply
