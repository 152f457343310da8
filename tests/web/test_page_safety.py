"""What a page is not shown to, and that no name or text that is stored ever becomes a part of it."""

from __future__ import annotations

from urllib.parse import quote

import numpy as np
from playwright.async_api import expect

import qwf_async as qwf
from qwf_async.lattice.grid import Grid
from tests.conftest import Server
from tests.support.browser import FOREIGN, Chromium
from tests.support.viewed import viewed

MARKUP = "<img src=x onerror=alert(1)>"


async def test_a_wrong_token_and_a_foreign_host_are_refused(chromium: Chromium, server: Server) -> None:
    async with viewed(chromium, server, allowed="status of 403") as view:
        for address in (
            view.address[:-1],
            view.address.partition("?")[0],
            view.address.replace("127.0.0.1", FOREIGN),
        ):
            reply = await view.page.goto(address)
            assert reply is not None
            assert reply.status == 403
            assert len((await view.page.inner_text("body")).strip().splitlines()) == 1
            assert await view.page.locator("#list").count() == 0


async def test_a_page_elsewhere_cannot_read_what_is_stored(chromium: Chromium, server: Server) -> None:
    """Neither by a request, nor as a script of its own, nor in a frame: not even if it knows the token."""
    async with viewed(chromium, server, allowed="CORS|ERR_|frame-ancestors|^request: ") as view:
        api = view.address.replace("/?", "/api/wavefunctions?")
        fetched = await view.page.evaluate(
            "(url) => fetch(url, {mode: 'no-cors'}).then(() => 'read', () => 'refused')", api
        )
        assert fetched == "refused"
        await view.page.set_content(f"<iframe src='{view.address}'></iframe>")
        assert "error" in view.page.frames[1].url or await view.page.frames[1].locator("#list").count() == 0


async def test_markup_in_what_is_stored_is_shown_as_text(chromium: Chromium, server: Server) -> None:
    grid = Grid.of((6, 5), box=(3.0, 2.5), frames=2, dt=0.5)
    async with qwf.connect(server.url) as store, qwf.create(store, "psi", grid, source=MARKUP) as writer:
        for _ in range(2):
            await writer.write(np.ones((6, 5), complex))
    with server.plain as client:  # we write no such unit, but others may
        axes = client.hget("qwf:{psi}:meta", "axes").decode()
        client.hset("qwf:{psi}:meta", "axes", axes.replace("bohr", MARKUP))
        assert MARKUP in client.hget("qwf:{psi}:meta", "axes").decode()
    async with viewed(chromium, server, allowed="status of 400") as view:
        await view.open(name="psi", t=1)
        await view.draws(1, "xy", 0)
        for panel in await view.page.locator("#panels summary:visible").all():
            await panel.click()
        await view.page.hover("#picture")
        assert MARKUP in await view.page.inner_text("#readout")
        assert MARKUP in (await view.page.text_content("#all-facts") or "")
        assert await view.page.locator("[src=x]").count() == 0
        await view.page.goto(f"{view.address}&again#name={quote(MARKUP)}")
        await expect(view.page.locator("#message")).to_contain_text(MARKUP)
        assert await view.page.locator("[src=x]").count() == 0
