"""The page of stored wavefunctions as a user sees it. What it shows is waited for by what it says of itself."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.async_api import Locator, Page, expect

from qwf_async.settings import Settings
from qwf_async.web.viewing import Viewed, viewing

from .browser import Chromium


class HasAddress(Protocol):
    """A server, or what leads to one."""

    @property
    def url(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A page, and where its server is."""

    page: Page
    at: Viewed

    @property
    def address(self) -> str:
        """Of the page, with its token."""
        return self.at.url()

    async def open(self, **view: object) -> None:
        """Go to the page, at a view of its own: name, t, plane, …"""
        await self.page.goto(
            f"{self.address}#{urlencode({name: str(value) for name, value in view.items()})}"
        )
        await self.says(state="ready")

    async def says(self, **facts: str) -> None:
        """Wait until the page says this of itself: `state`, `drawn`."""
        for name, value in facts.items():
            await expect(self.page.locator("body")).to_have_attribute(f"data-{name}", value)

    async def draws(self, t: int, plane: str, index: int, show: str = "density", name: str = "psi") -> None:
        """Wait until this slice is drawn."""
        await self.says(drawn=f"{name}/{t}/{plane}/{index}/{show}")

    async def pixels(self, canvas: str = "#picture") -> NDArray[np.uint8]:
        """What is drawn on a canvas, [rows from the top, columns, red green blue alpha]."""
        width, height, text = await self.page.evaluate(
            """(name) => {
                const canvas = document.querySelector(name);
                const {width, height} = canvas;
                const copy = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
                copy.drawImage(canvas, 0, 0);
                const {data} = copy.getImageData(0, 0, width, height);
                let text = "";
                for (let i = 0; i < data.length; i += 4096)
                    text += String.fromCharCode(...data.subarray(i, i + 4096));
                return [width, height, btoa(text)];
            }""",
            canvas,
        )
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)

    async def seen(self, what: Locator | None = None, name: str = "") -> NDArray[np.uint8]:
        """A screenshot of the page or of a part, [rows, columns, red green blue].

        With a name it is kept in the directory QWF_TEST_SCREENSHOTS, if that is set.
        """
        png = await (what or self.page).screenshot()
        if name and (directory := os.environ.get("QWF_TEST_SCREENSHOTS")):
            (Path(directory) / f"{name}.png").write_bytes(png)
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@asynccontextmanager
async def viewed(
    chromium: Chromium, server: HasAddress, allowed: str = "", **options: Any
) -> AsyncIterator[View]:
    """A page of what is on this server. For the other arguments see `Chromium.page`."""
    async with viewing(Settings(url=server.url), port=0) as at, chromium.page(allowed, **options) as page:
        yield View(page=page, at=at)
