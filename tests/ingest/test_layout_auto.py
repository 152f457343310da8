"""Layout auto is the first of flat, packed and tile that fits, and what was begun stays as it is."""

from __future__ import annotations

import re
from typing import Any

import pytest

import qwf_async
from qwf_async import sources
from qwf_async.errors import OutOfMemory, Refused, UsageError
from qwf_async.events import Event, Noted
from qwf_async.layout import Form
from tests.conftest import Server
from tests.support.loads import ask, contents, leave_unfinished, used, wave

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks", "time_to_settle")]

PSI = sources.array(wave(8, 20, 20, 20))
SETTINGS = qwf_async.Settings(sample_interval=0.02)


def predicted(layout: str) -> int:
    """Bytes that the model gives to the larger of both kinds of servers."""
    return Form.of(layout=layout, codec="c16", shape=PSI.grid.shape).predicted_bytes(None)


def leave_room(server: Server, size: float) -> None:
    """Let the server have room for so many bytes, below 85 % of its limit."""
    ask(server, "CONFIG", "SET", "maxmemory", int((used(server) + size) / 0.85) + 200_000)


async def auto(server: Server, name: str = "psi", **options: Any) -> tuple[qwf_async.Report, list[str]]:
    said: list[str] = []

    def hook(event: Event) -> None:
        if isinstance(event, Noted):
            said.append(event.text)

    async with qwf_async.connect(server.url, settings=SETTINGS) as store:
        report = await qwf_async.ingest(PSI, store, name, layout="auto", hooks=(hook,), **options)
    return report, [text for text in said if text.startswith("layout ")]


async def test_the_first_that_fits_is_taken_and_it_is_said_why(each_own_server: Server) -> None:
    report, said = await auto(each_own_server)
    assert report.layout == "flat"
    assert len(said) == 1
    assert "will fit" in said[0]
    ask(each_own_server, "FLUSHALL", "SYNC")
    leave_room(each_own_server, 1.2 * predicted("packed"))
    report, (said_now,) = await auto(each_own_server)
    assert report.layout == "packed"
    assert re.fullmatch(
        r"layout packed: flat needs [\d.]+ MB, and [\d.]+ MB are free below the watermark; this one needs .*",
        said_now,
    )
    assert ask(each_own_server, "HGET", "qwf:{psi}:meta", "layout") == b"packed"


async def test_if_none_fits_all_three_figures_are_said(each_own_server: Server) -> None:
    leave_room(each_own_server, 0)
    with pytest.raises(OutOfMemory) as caught:
        await auto(each_own_server)
    assert re.search(r"flat needs [\d.]+ MB, packed needs [\d.]+ MB, tile needs [\d.]+ MB", str(caught.value))
    assert contents(each_own_server) == {}


async def test_an_unfinished_load_and_what_is_published_keep_their_layout(each_own_server: Server) -> None:
    await leave_unfinished(each_own_server, PSI, 30_000, layout="packed")
    with pytest.raises(Refused, match="unfinished load"):
        await auto(each_own_server)
    report, said = await auto(each_own_server, resume=True)
    assert (report.layout, said) == ("packed", ["layout packed: that of what is there"])
    assert report.resumed_chunks
    assert (await auto(each_own_server, resume=True))[0].already


async def test_only_layouts_that_go_with_the_other_options_are_meant(each_own_server: Server) -> None:
    assert (await auto(each_own_server, tile=(4, 4, 4)))[0].layout == "tile"
    with pytest.raises(UsageError):
        await auto(each_own_server, "other", tile=(4, 4, 4), codec="text10")
