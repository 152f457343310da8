"""The page: what is listed, a slice in its colours, and all that chooses another one."""

from __future__ import annotations

from playwright.async_api import expect

from qwf_async.lattice.grid import Grid
from tests.conftest import Server
from tests.support.browser import Chromium
from tests.support.viewed import viewed

from .stored import PSI, as_plotted, difference, store_psi


async def test_what_is_stored_is_listed_and_shown_when_it_is_chosen(
    chromium: Chromium, server: Server
) -> None:
    # What is asked of a load just when it is published is not there any more.
    async with viewed(chromium, server, allowed="status of 404") as view:
        await view.open()
        await expect(view.page.locator("#nothing")).to_be_visible()
        await store_psi(server)
        await view.page.click(".entry[data-name=psi]")
        await view.draws(0, "xy", 8)
        await store_psi(server, "line", psi=PSI[:1, :, :1, :1], grid=Grid.of((24,), box=(12.0,)))
        await view.page.click(".entry[data-name=line]")
        await view.draws(0, "x", 0, name="line")
        entries = await view.page.locator(".entry").all()
        assert [await entry.get_attribute("data-name") for entry in entries] == ["line", "psi"]
        assert [await entry.get_attribute("aria-current") for entry in entries] == ["true", "false"]
        assert "3×24×20×16" in await entries[1].inner_text()


async def test_a_slice_has_the_colours_of_a_plot(chromium: Chromium, server: Server) -> None:
    await store_psi(server)
    async with viewed(chromium, server) as view:
        for plane, cut, index, values in (("xy", "z", 5, PSI[2, :, :, 5]), ("xz", "y", 7, PSI[2, :, 7, :])):
            await view.open(name="psi", t=2, plane=plane, **{cut: index})
            for show in ("density", "phase", "real", "imaginary"):
                await view.page.select_option("#show", show)
                await view.draws(2, plane, index, show)
                drawn = await view.pixels()
                assert difference(drawn, as_plotted(values, show)) < 0.01
                assert difference(drawn, as_plotted(values[::-1], show)) > 0.05


async def test_sliders_and_selections_choose_the_frame_and_the_slice(
    chromium: Chromium, server: Server
) -> None:
    await store_psi(server)
    async with viewed(chromium, server) as view:
        await view.open(name="psi")
        await view.draws(0, "xy", 8)
        await view.page.fill("#slider-z", "3")
        await view.draws(0, "xy", 3)
        await view.page.fill("#slider-t", "2")
        await view.draws(2, "xy", 3)
        await view.page.select_option("#plane", "yz")
        await view.page.fill("#slider-x", "11")
        await view.draws(2, "yz", 11)
        await view.page.select_option("#show", "phase")
        await view.draws(2, "yz", 11, "phase")
        assert difference(await view.pixels(), as_plotted(PSI[2, 11], "phase")) < 0.01


async def test_keys_and_the_wheel_do_what_sliders_do(chromium: Chromium, server: Server) -> None:
    await store_psi(server)
    async with viewed(chromium, server) as view:
        await view.open(name="psi")
        await view.draws(0, "xy", 8)
        for key, shown in (
            ("ArrowRight", (1, "xy", 8)),
            ("End", (2, "xy", 8)),
            ("ArrowUp", (2, "xy", 9)),
            ("PageUp", (2, "xy", 15)),
            ("ArrowDown", (2, "xy", 14)),
            ("2", (2, "xy", 14, "phase")),
            ("]", (2, "xz", 10, "phase")),
            ("Home", (0, "xz", 10, "phase")),
        ):
            await view.page.keyboard.press(key)
            await view.draws(*shown)
        await view.page.hover("#picture")
        await view.page.mouse.wheel(0, 80)
        await view.draws(0, "xz", 12, "phase")


async def test_frames_are_played_until_they_are_stopped(chromium: Chromium, server: Server) -> None:
    await store_psi(server)
    async with viewed(chromium, server) as view:
        await view.open(name="psi")
        await view.draws(0, "xy", 8)
        await view.page.click("#play")
        for t in (1, 2, 0):
            await view.draws(t, "xy", 8)
        await view.page.click("#play")
        await expect(view.page.locator("#play")).to_have_attribute("aria-pressed", "false")
        drawn = await view.page.locator("body").get_attribute("data-drawn")
        assert drawn is not None
        t = int(drawn.split("/")[1])
        assert f"t={t}" in view.page.url


async def test_the_value_under_the_pointer_is_told_with_its_place(chromium: Chromium, server: Server) -> None:
    await store_psi(server)
    async with viewed(chromium, server) as view:
        await view.open(name="psi", t=1, plane="xy", z=4)
        await view.draws(1, "xy", 4)
        place = await view.page.locator("#picture").bounding_box()
        assert place is not None
        x, y = 3, 17
        await view.page.mouse.move(
            place["x"] + (x + 0.5) / 24 * place["width"], place["y"] + (20 - y - 0.5) / 20 * place["height"]
        )
        value = PSI[1, x, y, 4]
        readout = view.page.locator("#readout")
        for text in (
            f"x {x} ",
            f"y {y} ",
            "z 4 ",
            f"{abs(value.real):.4g}",
            f"{abs(value.imag):.4g}",
            f"{abs(value) ** 2:.4g}",
        ):
            await expect(readout).to_contain_text(text)
