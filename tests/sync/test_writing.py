"""Frames that a simulation pushes by the synchronous face: published at the end, else left to be resumed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import qwf_async as qwf
from tests.conftest import Server

GRID = qwf.Grid.of((64, 64), box=(10, 10), frames=4, dt=0.1)
FRAME = np.arange(64 * 64).reshape(64, 64) * 1j

pytestmark = pytest.mark.usefixtures("small_chunks")


def test_frames_are_written_and_published_at_the_end(server: Server) -> None:
    with qwf.open(server.url) as store:
        with store.create("run", GRID, layout="tile") as writer:
            assert "run" not in store
            for number in range(4):
                assert writer.next_frame == number
                writer.write(FRAME + number)
        assert writer.report is not None
        assert (writer.report.points, writer.name, writer.grid) == (4 * FRAME.size, "run", GRID)
        np.testing.assert_array_equal(store["run"][3, :, :, 0], FRAME + 3)


def simulate(store: qwf.sync.Store, job: Callable[[qwf.sync.FrameWriter], object], **options: Any) -> None:
    with store.create("run", GRID, fingerprint="7", **options) as writer:
        job(writer)


def one_frame_and_an_error(writer: qwf.sync.FrameWriter) -> None:
    writer.write(FRAME)
    raise ZeroDivisionError


def rest_of_the_frames(writer: qwf.sync.FrameWriter) -> None:
    while writer.next_frame < 4:
        writer.write(FRAME)


def test_a_block_that_ends_early_leaves_what_can_be_resumed_and_says_so(server: Server) -> None:
    with qwf.open(server.url) as store:
        with pytest.raises(ZeroDivisionError) as raised:
            simulate(store, one_frame_and_an_error)
        assert "frames of run are missing" in raised.value.__notes__[0]
        with pytest.raises(KeyboardInterrupt) as pressed:
            simulate(store, lambda writer: signal.raise_signal(signal.SIGINT), resume=True)
        assert pressed.value.__notes__ == [
            "run is not published; what was stored can be resumed with resume=True"
        ]
        with pytest.raises(qwf.Refused, match="frames of run are missing"):
            simulate(store, lambda writer: None, resume=True)
        with pytest.raises(qwf.InvalidInput, match=r"has the shape \(3,\)"):
            simulate(store, lambda writer: writer.write([1, 2, 3]), resume=True)
        simulate(store, rest_of_the_frames, resume=True)
        np.testing.assert_array_equal(store["run"][:, 5, 7, 0], [FRAME[5, 7]] * 4)


def test_a_server_that_dies_ends_the_block_by_an_error_of_ours(own_server: Server) -> None:
    def job(writer: qwf.sync.FrameWriter) -> None:
        own_server.kill()
        rest_of_the_frames(writer)

    with qwf.open(own_server.url, deadline=0.1) as store, pytest.raises(qwf.ServerUnavailable):
        simulate(store, job)


def test_ctrl_c_after_the_store_was_closed_stays_ctrl_c(server: Server) -> None:
    store = qwf.open(server.url)
    with pytest.raises(KeyboardInterrupt), store.create("run", GRID):  # noqa: PT012 # the block is the test
        store.close()
        raise KeyboardInterrupt
