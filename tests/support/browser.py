"""One Chromium for all browser tests of a process, driven by Playwright on an event loop of its own thread.

Playwright's synchronous API would leave a running loop behind in the thread of all other tests. So
tests of a page are async functions that need no mark: `run` gives them to that loop, whose server is
often one of theirs, too.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    async_playwright,
    expect,
)

from qwf_async.host.loop_thread import LoopThread
from tests.conftest import PATIENCE

R = TypeVar("R")

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
FOREIGN: Final = "foreign.example"
"""A name that is not this machine's, and leads to it: as one that a page elsewhere has rebound."""

ARGUMENTS: Final = (
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader"),  # WebGL2 without a graphics card
    f"--host-resolver-rules=MAP {FOREIGN} 127.0.0.1",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chromium:
    """The browser, and the loop on which all that concerns it is done."""

    browser: Browser
    loop: LoopThread

    def run(self, test: Callable[[], Awaitable[R]]) -> R:
        return self.loop.run(test)

    @asynccontextmanager
    async def page(self, allowed: str = "", **options: Any) -> AsyncIterator[Page]:
        """A page of a user who was never there. `options` are those of Playwright's `new_context`.

        At the end it fails if something came up that no user should ever meet: an error or a warning on
        the console (what the content policy refused is one), an exception, a dialog, or a request to
        another server than the page is from. `allowed` is a pattern of what the test brings about.
        """
        async with await self.browser.new_context(
            **{"viewport": {"width": 1280, "height": 720}} | options
        ) as context:
            context.set_default_timeout(PATIENCE * 1000)
            met = _met(context)
            try:
                yield await context.new_page()
            except BaseException as error:
                error.add_note(f"besides: {met}")
                raise
        bad = [text for text in met if not (allowed and re.search(allowed, text))]
        assert not bad, bad


def _met(context: BrowserContext) -> list[str]:
    """What comes up in these pages and should not, as it comes."""
    met: list[str] = []

    def console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            met.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    async def dialog(opened: Dialog) -> None:
        met.append(f"dialog: {opened.message}")
        await opened.dismiss()

    def request(asked: Request) -> None:
        at, page = urlsplit(asked.url), urlsplit(asked.frame.url)
        elsewhere = at.scheme not in ("data", "blob") and at.netloc != page.netloc
        if elsewhere and not asked.is_navigation_request():
            met.append(f"request: {asked.url}")

    context.on("console", console)
    context.on("weberror", lambda error: met.append(f"exception: {error.error}"))
    context.on("dialog", dialog)
    context.on("request", request)
    return met


@contextmanager
def launched(*arguments: str) -> Iterator[Chromium]:
    """A Chromium of this machine, until the block ends."""
    loop = LoopThread()
    expect.set_options(timeout=PATIENCE * 1000)
    try:
        with loop.entered(_browser(arguments)) as entered:
            yield Chromium(browser=entered.value, loop=loop)
    finally:
        loop.close()


@asynccontextmanager
async def _browser(arguments: tuple[str, ...]) -> AsyncIterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    assert path, f"no browser is on the PATH ({', '.join(NAMES)}): apt-get install chromium"
    if os.getuid() == 0:
        arguments += ("--no-sandbox",)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *arguments])
        try:
            yield browser
        finally:
            await browser.close()
