"""A hundred pages of one `qwf view` at once: nobody gets an error, and its memory stays small."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
from anyio import to_thread
from playwright.async_api import expect

from tests.conftest import Server
from tests.support.browser import Chromium
from tests.support.command import Shell
from tests.support.loads import wave

from .stored import store_psi

N = 160
PSI = wave(2, N, N, 8)
CLIENTS = 98
MAX_MEMORY = 200_000
"""kB, at any time."""


async def answer(address: str, path: str) -> bytes:
    """What the API of a page has to say, over a connection of its own."""
    at = urlsplit(address)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    token = parse_qs(at.query)["token"][0]
    head = (
        f"GET /api/{path} HTTP/1.1\r\nHost: {at.netloc}\r\nAuthorization: Bearer {token}\r\nConnection: close"
    )
    writer.write(f"{head}\r\n\r\n".encode())
    said, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    assert said.startswith(b"HTTP/1.1 200 "), said + body
    return body


async def watch(address: str, number: int) -> None:
    """What a page asks for: the list, a wavefunction, and slices of it."""
    listed = json.loads(await answer(address, "wavefunctions"))["wavefunctions"]
    assert [entry["name"] for entry in listed] == ["psi"]
    assert json.loads(await answer(address, "wavefunctions/psi"))["shape"] == [2, N, N, 8]
    z = number % 8
    for t in range(2):
        body = await answer(address, f"wavefunctions/psi/values?t={t}&z={z}&max=640")
        np.testing.assert_array_equal(np.frombuffer(body, "<c8").reshape(N, N), PSI[t, :, :, z].astype("<c8"))


def peak_memory(pid: int) -> int:
    """The most memory that a process ever had, in kB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


async def test_a_hundred_pages_at_once(chromium: Chromium, server: Server, tmp_path: Path) -> None:
    await store_psi(server, psi=PSI, grid=None)
    command = ("view", "psi", "--port", "0", "--no-browser", "--url", server.url)
    with Shell.at(tmp_path).begin(*command) as begun:
        assert begun.process.stdout is not None
        address = (await to_thread.run_sync(begun.process.stdout.readline)).decode().strip()
        async with chromium.page() as page, chromium.page() as other:
            async with asyncio.TaskGroup() as tasks:
                for number in range(CLIENTS):
                    tasks.create_task(watch(address, number))
                await page.goto(address)
                await other.goto(address)
            for one in (page, other):
                await expect(one.locator("body")).to_have_attribute("data-drawn", "psi/0/xy/4/density")
        assert peak_memory(begun.process.pid) < MAX_MEMORY
