"""`psi.view()` and `store.view()`: the page of a store in a notebook, served on the store's loop."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec

from ..errors import InvalidInput
from ..host.loop_thread import LoopThread
from ..store import store as asynchronous
from ..web.viewing import Viewed, viewing
from .face import LoopFace

HEIGHT = 720
"""Pixels of the page's frame in a notebook."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageView:
    """A page at an address, which a notebook shows in a frame of `height` pixels; `note` is what a user must know."""

    url: str
    height: int = HEIGHT
    note: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.height, int) or self.height <= 0:
            raise InvalidInput(f"a frame of height {self.height!r} cannot be shown: give pixels")

    def __repr__(self) -> str:
        return f"<page at {self.url}{self.note and f': {self.note}'}>"

    def _repr_html_(self) -> str:
        url = escape(self.url)
        frame = f'<iframe src="{url}" title="qwf view" width="100%" height="{self.height}" style="border:0"></iframe>'
        return f'{frame}<div><a href="{url}" target="_blank">In a window of its own</a> {escape(self.note)}</div>'


class Viewable(LoopFace[asynchronous.Store]):
    """A store whose page is served from the first `view` on, until the store is closed."""

    def __init__(self, behind: asynchronous.Store, loop: LoopThread) -> None:
        super().__init__(behind, loop)
        self._viewed: Viewed | None = None
        self._view_lock = threading.Lock()

    def view(self, name: str | None = None, *, height: int = HEIGHT) -> PageView:
        """The page of `qwf view`, which a notebook shows as the last line of a cell; its address is `url`.

        With a name it shows that wavefunction. Raises UsageError if starlette or uvicorn is not
        installed, or the store is closed.
        """
        prefix = proxy_prefix()
        self._loop.check_usable()
        with self._view_lock:
            if self._viewed is None:
                proxied = prefix is not None
                self._viewed = self._loop.hold(viewing(self._behind.settings, framed=True, proxied=proxied))
            viewed = self._viewed
        if prefix is not None:
            return PageView(url=viewed.url(name, at=f"{prefix}proxy/{viewed.port}"), height=height)
        return PageView(url=viewed.url(name), height=height, note=_note(viewed.port))


def proxy_prefix() -> str | None:
    """The path of a JupyterHub's server under which jupyter-server-proxy leads here; None without these."""
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX")
    return prefix if prefix and find_spec("jupyter_server_proxy") is not None else None


def _note(port: int) -> str:
    """What to do where the browser is not on the machine of the notebook's kernel."""
    if "JUPYTERHUB_SERVICE_PREFIX" in os.environ:
        return "Your browser does not reach this address: pip install jupyter-server-proxy beside Jupyter."
    if "google.colab" in sys.modules:
        return f"Your browser does not reach this address: google.colab.output.serve_kernel_port_as_window({port})"
    if any(name.startswith("VSCODE_") for name in os.environ) or "SSH_CONNECTION" in os.environ:
        return f"If it stays empty, forward port {port} of the kernel's machine to yours."
    return ""
