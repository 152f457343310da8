"""Errors whose message goes on stay what they are."""

from __future__ import annotations

import signal

from qwf_async.client.failure import Moved
from qwf_async.errors import Interrupted, ServerUnavailable


def test_an_error_with_more_words_keeps_its_class_and_what_it_says_besides() -> None:
    moved = Moved("it has moved", slot=7, host="h", port=1).with_more("; try again")
    assert (type(moved), str(moved), moved.slot, moved.host) == (Moved, "it has moved; try again", 7, "h")
    stopped = Interrupted("stopped", signal.SIGTERM).with_more("")
    assert (str(stopped), stopped.status) == ("stopped", 143)
    assert str(ServerUnavailable("away\n").with_more("; again")) == r"away\n; again"
