"""The page while things happen: a load comes in, a name goes, a server goes away and comes back, `qwf view` ends."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import anyio
from playwright.async_api import expect

import qwf_async as qwf
from qwf_async.lattice.grid import Box
from tests.conftest import PATIENCE, Server
from tests.support.browser import Chromium
from tests.support.command import Shell
from tests.support.loads import Watched
from tests.support.relay import relaying
from tests.support.viewed import viewed

from .stored import GRID, PSI, as_plotted, difference, store_psi


async def test_a_load_under_way_is_shown_as_it_comes_in(chromium: Chromium, server: Server) -> None:
    """Half of the second frame is there; the rest is hatched until it comes."""
    go_on = threading.Event()

    def wait(box: Box) -> None:
        if box.start[:2] >= (1, 12):
            assert go_on.wait(PATIENCE)

    async def load() -> None:
        async with qwf.connect(server.url) as store:
            source = Watched(source=qwf.sources.array(PSI, grid=GRID), before=wait)
            await qwf.ingest(source, store, "psi", slab=(1, 12, 20, 16))

    try:
        # What is asked of the load just when it is published is not there any more.
        async with (
            anyio.create_task_group() as tasks,
            viewed(chromium, server, allowed="status of 40[49]") as view,
        ):
            await view.open()
            tasks.start_soon(load)
            await view.page.click(".entry[data-name=psi]")
            await expect(view.page.locator("#not-published")).to_contain_text("not published: 50 %")
            await view.draws(0, "xy", 8)
            await view.page.fill("#slider-t", "1")
            await view.draws(1, "xy", 8)
            drawn = await view.pixels()
            await view.seen(name="load")
            assert (drawn[:, :12, 3] == 255).all()
            assert (drawn[:, 12:, 3] == 0).all()  # the hatching behind it is seen
            go_on.set()
            await expect(view.page.locator("#not-published")).to_be_hidden()
            await expect(view.page.locator("#message")).to_contain_text("published now")
            await view.draws(1, "xy", 8)
            assert difference(await view.pixels(), as_plotted(PSI[1, :, :, 8], "density")) < 0.01
    finally:
        go_on.set()


async def test_a_name_that_is_removed_while_it_is_shown(chromium: Chromium, server: Server) -> None:
    await store_psi(server)
    async with viewed(chromium, server, allowed="status of 404") as view:
        await view.open(name="psi")
        await view.draws(0, "xy", 8)
        async with qwf.connect(server.url) as store:
            await store.remove("psi")
        await expect(view.page.locator("#message")).to_have_text("psi was removed")
        await expect(view.page.locator("#picture")).to_be_hidden()
        await expect(view.page.locator(".entry")).to_have_count(0)


async def test_a_server_that_goes_away_and_comes_back(chromium: Chromium, server: Server) -> None:
    await store_psi(server)
    with relaying(server) as relay:
        async with viewed(chromium, relay, allowed="status of 503") as view:
            await view.open(name="psi")
            await view.draws(0, "xy", 8)
            relay.refuse()
            relay.cut()
            await view.says(state="away")
            await view.page.fill("#slider-t", "2")
            await view.seen(name="away")
            relay.normal()
            await view.says(state="ready")
            await view.draws(2, "xy", 8)
            await expect(view.page.locator("#message")).to_have_text("")


async def test_a_page_that_is_opened_while_the_server_is_away(chromium: Chromium, server: Server) -> None:
    await store_psi(server)
    with relaying(server) as relay:
        async with viewed(chromium, relay, allowed="status of 503") as view:
            relay.refuse()
            relay.cut()
            await view.page.goto(view.at.url("psi"))
            await view.says(state="away")
            await view.page.wait_for_event("response", lambda reply: reply.status == 503)
            relay.normal()
            await view.draws(0, "xy", 8)


async def test_the_page_says_that_qwf_view_has_ended(
    chromium: Chromium, server: Server, tmp_path: Path
) -> None:
    await store_psi(server)
    with Shell.at(tmp_path).begin(
        *("view", "psi", "--port", "0", "--no-browser", "--url", server.url)
    ) as begun:
        assert begun.process.stdout is not None
        address = begun.process.stdout.readline().decode().strip()
        async with chromium.page("ERR_|Failed to fetch") as page:
            await page.goto(address)
            await expect(page.locator("body")).to_have_attribute("data-drawn", "psi/0/xy/8/density")
            begun.signal(signal.SIGTERM)
            outcome = await anyio.to_thread.run_sync(begun.end)
            assert outcome.status == 0
            await expect(page.locator("body")).to_have_attribute("data-state", "gone")
            await expect(page.locator("#message")).to_contain_text("qwf view has ended")
