"""What a page is not shown to, and that no name or text that is stored ever becomes a part of it."""

from __future__ import annotations

from tests.conftest import Server
from tests.support.browser import FOREIGN, Chromium
from tests.support.viewed import viewed


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
