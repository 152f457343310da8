"""The page for everybody: light and dark, wide and narrow, by the keyboard alone, without motion."""

from __future__ import annotations

from typing import Any, Final

import pytest
from playwright.async_api import expect

from tests.conftest import Server
from tests.support.browser import Chromium
from tests.support.viewed import viewed

from .stored import store_psi

PHONE: Final = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "has_touch": True}

PALE: Final = """() => {
    const paint = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const rgba = (css) => {
        paint.clearRect(0, 0, 1, 1);
        paint.fillStyle = css;
        paint.fillRect(0, 0, 1, 1);
        return [...paint.getImageData(0, 0, 1, 1).data].map((value) => value / 255);
    };
    const over = (top, under) => top.map((value, i) => i < 3 ? value * top[3] + under[i] * (1 - top[3]) : 1);
    const behind = (element) => {
        const own = rgba(getComputedStyle(element).backgroundColor);
        if (own[3] === 1) return own;
        return over(own, element.parentElement ? behind(element.parentElement) : [1, 1, 1, 1]);
    };
    const linear = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const found = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const text = walk.currentNode.textContent.trim(), element = walk.currentNode.parentElement;
        if (!text || !element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
        if (element.closest(":disabled, svg, script, style")) continue;
        const style = getComputedStyle(element), back = behind(element);
        const [a, b] = [luminance(over(rgba(style.color), back)), luminance(back)];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) found.push([text.slice(0, 40), ratio, style.color]);
    }
    return found;
}"""
"""Texts whose contrast with what is behind them is below 4.5. Source: WCAG 2.2, 1.4.3, relative luminance."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", ["desktop", "phone"])
async def test_texts_can_be_read_and_all_is_within_the_screen(
    chromium: Chromium, server: Server, scheme: str, screen: str
) -> None:
    await store_psi(server)
    options: dict[str, Any] = {"color_scheme": scheme} | (PHONE if screen == "phone" else {})
    async with viewed(chromium, server, **options) as view:
        await view.open(name="psi", t=1, show="phase")
        await view.draws(1, "xy", 8, "phase")
        await view.page.click("#observed-panel > summary")
        await expect(view.page.locator("#observed")).to_have_attribute("data-state", "done")
        assert await view.page.evaluate(PALE) == []
        assert await view.page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
        await view.seen(name=f"{screen}-{scheme}")


async def test_everything_can_be_done_by_the_keyboard_alone(chromium: Chromium, server: Server) -> None:
    """Each stop of the Tab key shows that it has the focus, and is what a name tells."""
    await store_psi(server)
    async with viewed(chromium, server) as view:
        await view.open(name="psi")
        await view.draws(0, "xy", 8)
        stops = []
        while True:
            await view.page.keyboard.press("Tab")
            stop, outline = await view.page.evaluate(
                """() => {
                    const focused = document.activeElement;
                    const style = getComputedStyle(focused);
                    const name = focused.id || focused.dataset.name || focused.parentElement?.id || focused.tagName;
                    return [focused === document.body ? null : name, style.outlineStyle];
                }"""
            )
            if stop is None or stop in stops:
                break
            assert outline != "none", stop
            stops.append(stop)
            if stop == "slider-z":
                await view.page.keyboard.press("ArrowRight")
                await view.draws(0, "xy", 9)
            if stop == "stage":
                await view.page.keyboard.press("ArrowRight")
                await view.draws(1, "xy", 8)
                await view.page.keyboard.press("ArrowLeft")
                await view.draws(0, "xy", 8)
        wanted = (
            "psi",
            "show",
            "plane",
            "stage",
            "play",
            "slider-t",
            "slider-z",
            "copy-python",
            "volume-panel",
        )
        assert set(wanted) <= set(stops)


async def test_nothing_moves_for_those_who_want_no_motion(chromium: Chromium, server: Server) -> None:
    await store_psi(server)
    async with viewed(chromium, server, reduced_motion="reduce") as view:
        await view.open(name="psi")
        await view.draws(0, "xy", 8)
        moving = await view.page.evaluate(
            """() => [...document.querySelectorAll("*")].filter((element) => {
                const {transitionDuration, animationName} = getComputedStyle(element);
                return animationName !== "none" || transitionDuration.split(",").some((time) => parseFloat(time) > 0);
            }).map((element) => element.outerHTML.slice(0, 80))"""
        )
        assert moving == []
