"""The page in a notebook: one server a store, on the store's loop, from the first view until the store is closed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest

import qwf_async as qwf
from tests.conftest import Server

SOURCE = qwf.sources.array(np.ones((6, 5, 4), complex))


@pytest.fixture
def store(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[qwf.sync.Store]:
    for name in list(os.environ):
        if name.startswith(("VSCODE_", "JUPYTERHUB_", "SSH_")):
            monkeypatch.delenv(name)
    with qwf.open(server.url) as store:
        store.ingest(SOURCE, "a-b")
        yield store


def read(url: str, host: str = "") -> tuple[int, str]:
    """The status of an answer, and where its page may be shown in a frame."""
    try:
        request = Request(url.partition("#")[0], headers={"Host": host} if host else {})  # noqa: S310 # ours
        with urlopen(request, timeout=60) as answer:  # noqa: S310
            status, headers = answer.status, answer.headers
    except HTTPError as error:
        status, headers = error.code, error.headers
        error.close()
    return status, headers.get("Content-Security-Policy", "").partition("frame-ancestors ")[2]


def test_all_views_of_a_store_are_at_one_address_until_it_is_closed(store: qwf.sync.Store) -> None:
    psi = store["a-b"]
    first, second, all_of_it = psi.view(), store.view("a-b", height=300), store.view()
    assert first.url == second.url == f"{all_of_it.url}#name=a-b"
    assert repr(all_of_it) == f"<page at {all_of_it.url}>"
    status, ancestors = read(first.url)
    assert status == 200
    assert "vscode-webview:" in ancestors
    assert read(first.url.replace("token=", "token=x"))[0] == read(first.url, host="hub.example")[0] == 403
    html = second._repr_html_()
    assert re.search(r'<iframe src="http://127\.0\.0\.1:\d+/\?token=[^"<>]+#name=a-b"', html)
    assert 'height="300"' in html
    with pytest.raises(qwf.InvalidInput):
        psi.view(height=0)
    store.close()
    with pytest.raises(OSError, match="refused"):
        read(first.url)
    with pytest.raises(qwf.UsageError, match="the store is closed"):
        psi.view()


def test_a_process_that_was_forked_serves_no_page(store: qwf.sync.Store) -> None:
    store.view()
    child = os.fork()
    if child == 0:
        try:
            store.view()
        except qwf.UsageError as error:
            os._exit("before this process was forked" in str(error))
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_where_the_browser_is_elsewhere_the_user_is_told(
    store: qwf.sync.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSCODE_PID", "1")
    assert "forward port" in store.view()._repr_html_()
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/me/")
    assert "jupyter-server-proxy" in repr(store.view())


def test_the_proxy_of_a_hub_leads_to_the_page(
    store: qwf.sync.Store, monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    (tmp_path / "jupyter_server_proxy.py").touch()  # type: ignore[operator]
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/me/")
    found = re.match(r"/user/me/proxy/(\d+)/(\?token=.*)", store.view().url)
    assert found
    url = f"http://127.0.0.1:{found[1]}/{found[2]}"
    assert read(url, host="hub.example")[0] == 200
    assert read(url + "x", host="hub.example")[0] == 403


def test_a_missing_library_is_named(store: qwf.sync.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "starlette", None)
    with pytest.raises(qwf.UsageError, match=r"needs starlette, .*pip install 'qwf_async\[web\]'"):
        store.view()
