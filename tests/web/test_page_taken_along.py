"""What a user takes along from the page: a link, lines of Python, a picture."""

from __future__ import annotations

import numpy as np
from anyio import to_thread
from PIL import Image

from tests.conftest import Server
from tests.support.browser import Chromium
from tests.support.viewed import View, viewed

from .stored import PSI, as_plotted, difference, store_psi

CLIPBOARD = ["clipboard-read", "clipboard-write"]


async def clipboard(view: View) -> str:
    return str(await view.page.evaluate("() => navigator.clipboard.readText()"))


async def test_a_link_restores_the_view(chromium: Chromium, server: Server) -> None:
    await store_psi(server)
    async with viewed(chromium, server, permissions=CLIPBOARD) as view:
        await view.open(name="psi", t=1, plane="xz", y=7, show="imaginary")
        await view.draws(1, "xz", 7, "imaginary")
        before = await view.pixels()
        await view.page.click("#copy-link")
        await view.page.locator("#message:has-text('clipboard')").wait_for()
        link = await clipboard(view)
        other = await view.page.context.new_page()
        await other.goto(link)
        again = View(page=other, at=view.at)
        await again.draws(1, "xz", 7, "imaginary")
        np.testing.assert_array_equal(await again.pixels(), before)


async def test_what_is_shown_can_be_read_by_the_lines_of_python(chromium: Chromium, server: Server) -> None:
    await store_psi(server)
    async with viewed(chromium, server, permissions=CLIPBOARD) as view:
        await view.open(name="psi", t=1, plane="xz", y=7)
        await view.draws(1, "xz", 7)
        await view.page.click("#copy-python")
        await view.page.locator("#message:has-text('clipboard')").wait_for()
        names: dict[str, object] = {}
        await to_thread.run_sync(exec, await clipboard(view), names)
        np.testing.assert_array_equal(names["values"], PSI[1, :, 7])


async def test_a_picture_is_saved_as_it_is_seen(chromium: Chromium, server: Server) -> None:
    await store_psi(server)
    async with viewed(chromium, server) as view:
        await view.open(name="psi", t=1, plane="xy", z=4, show="phase")
        await view.draws(1, "xy", 4, "phase")
        async with view.page.expect_download() as download:
            await view.page.click("#save-png")
        saved = await download.value
        assert saved.suggested_filename == "psi-phase-t1.png"
        png = np.asarray(Image.open(await saved.path()).convert("RGB"))
        stage, picture = [await view.page.locator(name).bounding_box() for name in ("#stage", "#picture")]
        assert stage is not None
        assert picture is not None
        scale = png.shape[1] / stage["width"]
        head = png.shape[0] - scale * stage["height"]
        rows = head + scale * (picture["y"] - stage["y"] + (np.arange(20) + 0.5) / 20 * picture["height"])
        columns = scale * (picture["x"] - stage["x"] + (np.arange(24) + 0.5) / 24 * picture["width"])
        drawn = png[np.ix_(rows.astype(int), columns.astype(int))]
        assert difference(drawn, as_plotted(PSI[1, :, :, 4], "phase")) < 0.01
