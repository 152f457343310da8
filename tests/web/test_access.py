"""Who may ask the page's server, by which name, and what every answer says to a browser."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPResponse

import numpy as np
import pytest
from anyio import connect_tcp, to_thread

import qwf_async
from qwf_async import sources
from qwf_async.errors import UsageError
from qwf_async.http_serving import bind, known_hosts
from qwf_async.web.viewing import Viewed
from tests.conftest import PATIENCE, Server
from tests.support.api import api_of

pytestmark = pytest.mark.anyio


async def asked(
    at: Viewed, target: str, *, method: str = "GET", hosts: tuple[str, ...] | None = None, token: str = ""
) -> tuple[HTTPResponse, bytes]:
    """The answer to a request that is written as it stands: with these Host headers, and this token or none."""

    def ask() -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection(at.host, at.port, timeout=PATIENCE)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for host in (f"{at.host}:{at.port}",) if hosts is None else hosts:
                connection.putheader("Host", host)
            if token:
                connection.putheader("Authorization", token)
            connection.endheaders()
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    return await to_thread.run_sync(ask)


async def test_the_token_opens_the_page_and_the_api(server: Server) -> None:
    async with api_of(server) as api:
        at = api.at
        right = at.token
        for target, token, status in (
            ("/", "", 403),
            ("/?token=", "", 403),
            (f"/?token={right[:-1]}", "", 403),
            (f"/?token={right}x", "", 403),
            (f"/?token={right}", "", 200),
            ("/static/main.js", "", 200),
            ("/static/../app.py", "", 404),
            ("/static/%2e%2e/app.py", "", 404),
            ("/api/store", "", 403),
            ("/api/store", f"Bearer {right}x", 403),
            ("/api/store", f"Basic {right}", 403),
            ("/api/store", f"bearer {right}", 200),
            (f"/api/store?token={right}", "", 200),
            (f"/api/store?token={right}", "Bearer wrong", 403),
            ("/api/nothing", f"Bearer {right}", 404),
            ("/nothing", f"Bearer {right}", 404),
        ):
            answer, _ = await asked(at, target, token=token)
            assert answer.status == status, (target, token)


async def test_only_the_names_of_this_machine_are_answered(server: Server) -> None:
    async with api_of(server) as api:
        at, bearer = api.at, f"Bearer {api.at.token}"
        for hosts, status in (
            ((f"127.0.0.1:{at.port}",), 200),
            ((f"LOCALHOST:{at.port}",), 200),
            ((f"[::1]:{at.port}",), 200),
            (("127.0.0.1",), 403),
            ((f"127.0.0.1:{at.port + 1}",), 403),
            ((f"evil.example:{at.port}",), 403),
            ((f"127.0.0.1.evil.example:{at.port}",), 403),
            (("",), 403),
        ):
            answer, body = await asked(at, "/api/store", hosts=hosts, token=bearer)
            assert answer.status == status, hosts
            assert (b"server" in body) == (status == 200) or b"this server" in body
        several: tuple[str, ...]
        for several in ((), ("localhost", "evil.example")):  # no Host, or two: HTTP/1.1 has exactly one
            answer, _ = await asked(at, "/api/store", hosts=several, token=bearer)
            assert answer.status in (400, 403)


async def test_every_answer_tells_a_browser_what_it_may_do(server: Server) -> None:
    async with api_of(server) as api:
        at = api.at
        for target in ("/", f"/?token={at.token}", "/static/main.js", "/api/store", "/api/nothing"):
            answer, _ = await asked(at, target)
            headers = {name.lower(): value for name, value in answer.getheaders()}
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == ("no-cache" if target.startswith("/static") else "no-store")
            assert not [name for name in headers if name.startswith("access-control")]
            assert "set-cookie" not in headers
            assert "server" not in headers


async def test_nothing_but_reading(server: Server) -> None:
    async with api_of(server) as api:
        bearer = f"Bearer {api.at.token}"
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
            answer, _ = await asked(api.at, "/api/wavefunctions/psi", method=method, token=bearer)
            assert answer.status == 405
        answer, body = await asked(api.at, "/api/store", method="HEAD", token=bearer)
        assert (answer.status, body) == (200, b"")


async def test_errors_have_the_codes_of_the_command_line(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(np.ones((2, 3, 4, 5), complex)), store, "psi")
    async with api_of(server) as api:
        for path, query, status, code in (
            ("wavefunctions/none", {}, 404, 7),
            ("wavefunctions/none/values", {}, 404, 7),
            ("wavefunctions/a%20b/values", {}, 400, 7),
            ("wavefunctions/psi/values", {"t": 2}, 400, 7),
            ("wavefunctions/psi/values", {"t": "one"}, 400, 7),
            ("wavefunctions/psi/values", {"x": "0:3:0"}, 400, 7),
            ("wavefunctions/psi/values", {"x": "0:3:-1"}, 400, 7),
            ("wavefunctions/psi/values", {"x": "9" * 30}, 400, 7),
            ("wavefunctions/psi/values", {"max": 0}, 400, 7),
            ("wavefunctions/psi/values", {"load": "yes"}, 400, 7),
            ("wavefunctions/psi/values", {"load": "true"}, 404, 7),
            ("wavefunctions/psi/values", {"generation": "0" * 16}, 409, 8),
        ):
            answer = await api.get(path, **query)
            error = answer.json["error"]
            assert (answer.status, error["code"]) == (status, code), (path, query, error)
            assert len(error["message"].splitlines()) == 1


async def test_an_answer_is_bounded(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        large = sources.array(np.broadcast_to(np.complex128(1), (1, 2048, 2049, 1)))
        await qwf_async.ingest(large, store, "psi", layout="tile", codec="c8")
    async with api_of(server) as api:
        answer = await api.get("wavefunctions/psi/values")
        assert (answer.status, answer.json["error"]["code"]) == (413, 7)
        answer = await api.get("wavefunctions/psi/values", t=0, z=0, max=100)
        assert answer.values.shape == (98, 98)
        assert (answer.values == 1).all()
        assert (answer.headers["x-qwf-step"], answer.headers["x-qwf-axes"]) == ("21,21", "x,y")


async def test_what_is_listed_is_said_again_only_if_it_changed(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(np.ones((1, 3, 4, 5), complex)), store, "psi")
        async with api_of(server) as api:
            first = await api.get("wavefunctions")
            (entry,) = first.json["wavefunctions"]
            assert (entry["name"], entry["state"], entry["shape"], entry["load"]) == (
                "psi", "published", [1, 3, 4, 5], None,
            )  # fmt: skip
            assert json.loads(first.body) == first.json
            again = await api.get("wavefunctions", headers={"If-None-Match": first.headers["etag"]})
            assert (again.status, again.body) == (304, b"")


def test_a_port_in_use_is_one_line() -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1:{port}: the port is in use"):
            bind("127.0.0.1", port)
        with bind("127.0.0.1", port, tries=50) as other:
            assert other.getsockname()[1] != port
    with pytest.raises(UsageError, match="no such address"):
        bind("nowhere.invalid", 0)


def test_a_browser_leaves_port_80_out_of_the_host() -> None:
    assert {"127.0.0.1", "127.0.0.1:80", "[::1]"} <= set(known_hosts("127.0.0.1", 80))
    assert "127.0.0.1" not in known_hosts("127.0.0.1", 8765)


async def test_a_client_that_does_not_speak_http_says_nothing_here(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with api_of(server) as api, await connect_tcp(api.at.host, api.at.port) as client:
        await client.send(b"\x16\x03\x01\r\n\r\n")
        assert (await client.receive()).startswith(b"HTTP/1.1 400")
    assert not caplog.records
