"""What stands beside the picture: a volume, numbers over time, marginals."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import numpy as np
from numpy.typing import NDArray
from playwright.async_api import expect

import qwf_async as qwf
from qwf_async.lattice.grid import Grid
from tests.conftest import PATIENCE, Server
from tests.support.browser import Chromium
from tests.support.viewed import View, viewed

from .stored import store_psi

NO_WEBGL = """
    const getContext = HTMLCanvasElement.prototype.getContext, offscreen = OffscreenCanvas.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
        return kind === "webgl2" ? null : getContext.call(this, kind, ...rest);
    };
    OffscreenCanvas.prototype.getContext = function (kind, ...rest) {
        return kind === "webgl2" ? null : offscreen.call(this, kind, ...rest);
    };
"""


async def opened(view: View, panel: str) -> None:
    await view.page.click(f"#{panel}-panel > summary")


async def shown(view: View, wanted: Callable[[NDArray[np.uint8]], bool]) -> NDArray[np.uint8]:
    """The picture of the volume, as soon as it is as wanted."""
    with anyio.fail_after(PATIENCE):
        while not wanted(now := (await view.pixels("#volume canvas"))[..., :3]):
            await view.page.evaluate("() => new Promise(requestAnimationFrame)")
    return now


def coloured(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels are not grey."""
    different: NDArray[np.bool_] = np.ptp(picture.astype(int), axis=-1) > 40
    return different


def change(now: NDArray[np.uint8], before: NDArray[np.uint8]) -> float:
    """The mean difference of the colours where something is seen, of 255."""
    seen = coloured(now) | coloured(before)
    return float(np.abs(now[seen].astype(float) - before[seen]).mean())


async def test_a_volume_is_drawn_and_shows_less_above_a_threshold(chromium: Chromium, server: Server) -> None:
    async with qwf.connect(server.url) as store:
        await qwf.ingest(qwf.sources.hydrogen(2, 1, 1, grid=Grid.cube(32)), store, "psi", layout="tile")
    async with viewed(chromium, server) as view:
        await view.open(name="psi")
        await opened(view, "volume")
        volume = view.page.locator("#volume")
        await expect(volume).to_have_attribute("data-drawn", "psi/0/96")
        first = await shown(view, lambda now: coloured(now).sum() > 1000)
        await view.seen(name="volume")
        await view.page.fill("#volume-threshold", "90")
        less = await shown(view, lambda now: 0 < coloured(now).sum() < 0.8 * coloured(first).sum())
        for _ in range(15):
            await volume.locator("canvas").press("ArrowLeft")  # a quarter turn: other phases are in front
        await shown(view, lambda now: change(now, less) > 20)


async def test_without_webgl_slices_are_shown(chromium: Chromium, server: Server) -> None:
    await store_psi(server)
    async with viewed(chromium, server) as view:
        await view.page.add_init_script(NO_WEBGL)
        await view.open(name="psi")
        await opened(view, "volume")
        await expect(view.page.locator("#volume")).to_contain_text("no WebGL2")
        await view.page.fill("#slider-z", "3")
        await view.draws(0, "xy", 3)


async def test_numbers_over_time_and_marginals_are_shown(chromium: Chromium, server: Server) -> None:
    await store_psi(server)
    async with viewed(chromium, server) as view:
        await view.open(name="psi")
        await opened(view, "observed")
        await opened(view, "marginals")
        observed, marginals = view.page.locator("#observed"), view.page.locator("#marginals")
        await expect(observed).to_have_attribute("data-state", "done")
        await expect(observed).to_have_attribute("data-rows", "3")
        await expect(observed.locator("svg").first).to_be_visible()
        await expect(marginals).to_have_attribute("data-drawn", "psi/0")
        await view.page.fill("#slider-t", "2")
        await expect(marginals).to_have_attribute("data-drawn", "psi/2")
        await expect(marginals.locator("svg")).to_have_count(3)
        await view.seen(name="panels")
