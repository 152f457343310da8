"""Memory that is lent: never to two at once, whichever threads take it and give it back."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np
import pytest
from numpy.typing import NDArray

from qwf_async.wire.arena import KEPT, Arena

THREADS, TIMES = 8, 300


@pytest.fixture(autouse=True)
def _switching_often() -> Iterator[None]:
    """Threads take turns so often that they meet in the midst of everything."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_memory_is_lent_again_only_when_no_view_is_left() -> None:
    arena = Arena()
    first = arena.take(1000)
    address, view = first.ctypes.data, first[10:20].reshape(2, 5)
    del first
    assert arena.take(1000).ctypes.data != address
    del view
    assert any(piece.ctypes.data == address for piece in [arena.take(900), arena.take(900)])


def test_threads_never_share_memory_and_hand_it_on_to_be_given_back_elsewhere() -> None:
    arena = Arena()
    handed: SimpleQueue[tuple[int, NDArray[np.uint8]]] = SimpleQueue()

    def take_fill_and_check(number: int) -> None:
        chance = random.Random(number)
        for _ in range(TIMES):
            mark, piece = chance.randrange(256), arena.take(chance.randrange(1, 3000))
            piece[...] = mark
            handed.put((mark, piece[:: chance.choice([1, 2])]))
            del piece
            mark, view = handed.get()  # most often another thread's
            assert (view == mark).all()
            del view

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(take_fill_and_check, range(THREADS)))
    taken = [arena.take(1) for _ in range(2 * KEPT)]
    assert sum(piece.base is not None and piece.base.size > 1 for piece in taken) <= KEPT
