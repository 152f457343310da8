"""Addresses of a server: which are understood, what is shown of them, and where passwords come from."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qwf_async.client.address import Address
from qwf_async.client.node import Node
from qwf_async.errors import Refused, UsageError
from tests.conftest import PATIENCE, Server, free_port, new_server
from tests.support.command import Shell

SESAME, WRONG = "open-sesame", "open-barley"


@pytest.fixture
def tcp_server() -> Iterator[Server]:
    """A server of the test's own that also listens on a TCP port, its option `port`."""
    with free_port() as port:
        yield from new_server("valkey", port=str(port), bind="127.0.0.1")


@pytest.mark.anyio
@pytest.mark.parametrize("over", ["unix", "tcp"])
async def test_a_server_that_wants_a_password_refuses_and_is_not_asked_again(
    tcp_server: Server, over: str
) -> None:
    with tcp_server.plain as client:
        client.config_set("requirepass", SESAME)
        client.execute_command("AUTH", SESAME)
        client.acl_setuser("narrow", enabled=True, passwords=["+poor"], commands=["+get", "+ping"], keys="*")
    url = tcp_server.url if over == "unix" else f"redis://127.0.0.1:{tcp_server.options['port']}"
    authority, path = ("unix://{}@", str(tcp_server.socket)) if over == "unix" else ("redis://{}@", url[8:])
    cases: list[tuple[Address, str, str]] = [
        (Address.parse(url), "wants a password", ""),
        (
            Address.parse(url, password=WRONG),
            "does not accept this user name and password",
            WRONG,
        ),
        (Address.parse(authority.format("someone:wrong-two") + path), "does not accept", "wrong-two"),
        (Address.parse(authority.format("narrow:poor") + path), "lacks a permission.*'set'", "poor"),
    ]
    for address, message, secret in cases:
        pool = Node(address, deadline=60)
        try:
            with anyio.fail_after(PATIENCE / 2), pytest.raises(Refused, match=message) as raised:
                await pool.call("SET", "k", "v")
        finally:
            await pool.aclose()
        if secret:
            assert secret not in "".join(traceback.format_exception(raised.value)).replace("'set'", "")
    pool = Node(Address.parse(url, password=SESAME))
    try:
        assert await pool.call("ECHO", "open") == b"open"
    finally:
        await pool.aclose()


@pytest.mark.anyio
async def test_tcp_addresses_and_databases_work(tcp_server: Server) -> None:
    port = tcp_server.options["port"]
    for url in (f"redis://127.0.0.1:{port}/3", f"valkey://localhost:{port}?db=3", f"{tcp_server.url}?db=3"):
        pool = Node(Address.parse(url))
        try:
            await pool.call("INCR", "visits")
        finally:
            await pool.aclose()
    with tcp_server.plain as client:
        assert not client.exists("visits")
        client.select(3)
        assert client.get("visits") == b"3"


@pytest.mark.parametrize(
    ("url", "shown", "options"),
    [
        ("redis://", "redis://localhost:6379", {}),
        ("redis://h", "redis://h:6379", {"host": "h"}),
        ("redis://h:7000/3", "redis://h:7000/3", {"host": "h", "port": 7000, "db": 3}),
        ("redis://h?db=4", "redis://h:6379/4", {"host": "h", "db": 4}),
        ("redis://:pw@h", "redis://:***@h:6379", {"host": "h", "password": "pw"}),
        ("redis://me:pw@h", "redis://me:***@h:6379", {"host": "h", "username": "me", "password": "pw"}),
        ("redis://:p%40s%2Fs%3A%23@h", "redis://:***@h:6379", {"host": "h", "password": "p@s/s:#"}),
        ("redis://h?password=pw", "redis://:***@h:6379", {"host": "h", "password": "pw"}),
        ("valkey://h:1", "redis://h:1", {"host": "h", "port": 1}),
        ("redis://[::1]:6380", "redis://[::1]:6380", {"host": "::1", "port": 6380}),
        ("unix:///run/r.sock", "unix:///run/r.sock", {"path": "/run/r.sock"}),
        ("unix:///a%20b.sock?db=2", "unix:///a b.sock", {"path": "/a b.sock", "db": 2}),
        (
            "unix://me:pw@/run/r.sock",
            "unix:///run/r.sock",
            {"path": "/run/r.sock", "username": "me", "password": "pw"},
        ),
        ("rediss://h", "rediss://h:6379", {"host": "h"}),
        ("localhost", "redis://localhost:6379", {"host": "localhost"}),
        ("localhost/2", "redis://localhost:6379/2", {"host": "localhost", "db": 2}),
        ("host:7000/3", "redis://host:7000/3", {"host": "host", "port": 7000, "db": 3}),
        ("[::1]:7000/3", "redis://[::1]:7000/3", {"host": "::1", "port": 7000, "db": 3}),
        ("::1/3", "redis://[::1]:6379/3", {"host": "::1", "db": 3}),
        ("node_1.lab-2:7000", "redis://node_1.lab-2:7000", {"host": "node_1.lab-2", "port": 7000}),
        ("10.0.0.1", "redis://10.0.0.1:6379", {"host": "10.0.0.1"}),
        ("::1", "redis://[::1]:6379", {"host": "::1"}),
        ("[fe80::1]:6380", "redis://[fe80::1]:6380", {"host": "fe80::1", "port": 6380}),
        ("/run/a b%.sock", "unix:///run/a b%.sock", {"path": "/run/a b%.sock"}),
        ("valkeys://h?ssl_ca_certs=/ca.pem", "rediss://h:6379", {"host": "h", "ssl_ca_certs": "/ca.pem"}),
    ],
)
def test_a_url_becomes_options_and_is_shown_without_its_password(
    url: str, shown: str, options: dict[str, Any]
) -> None:
    address = Address.parse(url)
    assert address.shown == shown
    kinds = {"rediss": "TLSConnection", "unix": "UnixDomainSocketConnection"}
    kind = address.options.pop("connection_class", None)
    assert getattr(kind, "__name__", None) == kinds.get(shown.partition(":")[0])
    assert address.options == options


def test_a_password_of_its_own_outranks_that_of_the_url() -> None:
    address = Address.parse("redis://me:old@h", password=SESAME)
    assert address.options["password"] == SESAME
    assert address.shown == "redis://me:***@h:6379"


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("redis://", True),
        ("redis://localhost", True),
        ("redis://127.0.0.1:7000", True),
        ("redis://[::1]", True),
        ("unix:///s", True),
        ("redis://example.org", False),
        ("rediss://10.0.0.1", False),
    ],
)
def test_whether_a_server_is_on_this_machine(url: str, local: bool) -> None:
    assert Address.parse(url).is_local is local


BAD_URLS = [
    "", "localhost:", "localhost:port", "localhost:99999", ":6379", "me@h", "me:pw@h:6379", "h/one", "a b",
    "::g", "http://h", "redis.sock", "redis://h:port", "redis://h:99999",
    "redis://h:-1", "redis://h/x", "redis://h/1/2", "redis://h?db=x", "redis://[::1", "unix://", "unix://run/r.sock",
    "redis://h?socket_timeout=soon", "redis://h?no_such_option=1", "redis://h?max_connections=10",
    "redis://h?decode_responses=1", "redis://h?connection_class=x", "redis://h?ssl_ca_certs=/ca.pem",
    "redis://h?path=/s", "rediss://h?ssl_cert_reqs=perhaps",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_that_makes_no_sense_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        Address.parse(url)
    assert "\n" not in str(raised.value)


UNESCAPED = [
    "57310#{}",
    "57310?{}",
    "57310/{}",
    "57310/0?{}",
    "57310?password={}",
    "57310?db=1&{}",
    "a@{}",
    "#@{}",
]
UNESCAPED += ["%{}", "%2{}", "a {}", "a\n{}", "a\t{}", "a\u00a0{}", "[a]{}", "[{}", "{}]", "a%FF{}"]


@pytest.mark.parametrize("password", UNESCAPED)
@pytest.mark.parametrize("url", ["redis://:{}@h:6379/0", "rediss://lab:{}@h", "unix://lab:{}@/run/s?db=1"])
def test_a_url_whose_parts_cannot_be_told_apart_is_refused(url: str, password: str) -> None:
    with pytest.raises(UsageError) as raised:
        Address.parse(url.format(password.format("Qz7")))
    told = "".join(traceback.format_exception(raised.value))
    message = str(raised.value)
    assert "Qz7" not in message
    assert "57310" not in message
    assert all(escaped in message for escaped in ("%23", "%3F", "%2F", "%40", "QWF_PASSWORD"))
    assert "Qz7" not in told.partition("UsageError")[2]


@pytest.mark.parametrize(
    "url",
    [
        "redis://h?password=a+b",
        "redis://h?password=a@b",
        "redis://h?Wx",
        "redis://h?db=1&db=2",
        "redis://h#x",
    ],
)
def test_options_that_would_be_taken_for_others_are_refused(url: str) -> None:
    with pytest.raises(UsageError):
        Address.parse(url)


@given(st.text(min_size=1).filter(lambda text: text.isprintable() and text != "."))
def test_a_password_that_was_escaped_is_the_one_that_is_sent(password: str) -> None:
    escaped = quote(password, safe="")
    for url in (f"redis://:{escaped}@h", f"unix://u:{escaped}@/s", f"redis://h?password={escaped}"):
        address = Address.parse(url)
        assert address.options["password"] == password
        assert address.options.get("host", "h") == "h"
    assert Address.parse("unix:///run/a@b").options["path"] == "/run/a@b"


def test_no_other_server_is_reached_with_a_part_of_a_password(tcp_server: Server, tmp_path: Path) -> None:
    port = tcp_server.options["port"]
    url = f"redis://:{port}#Wx@192.0.2.1:6379/0"
    (tmp_path / "a.toml").write_text(f"url = '{url}'\n")
    shell = Shell.at(tmp_path)
    roads: list[tuple[list[str], dict[str, str]]] = [
        (["-u", url], {}),
        ([], {"QWF_URL": url}),
        ([], {"REDIS_URL": url}),
        (["--config", "a.toml"], {}),
    ]
    lines = [
        ([*command, *arguments], variables)
        for arguments, variables in roads
        for command in (["ls"], ["config", "show"])
    ]
    for outcome in shell.several(lines):
        assert outcome.status == 2, outcome.err
        assert "%23" in outcome.err
        assert port not in outcome.out + outcome.err
        assert "Wx" not in outcome.out + outcome.err
    with tcp_server.plain as client:
        assert client.info("stats")["total_connections_received"] <= 2  # this one, and that of the fixture


def parsed(url: str) -> tuple[Address | None, str]:
    """The address, or None if it is refused, and all texts that a user would see. Makes a connection from it."""
    try:
        address = Address.parse(url)
    except UsageError as error:
        return None, "".join(traceback.format_exception(error, chain=True))
    Node(address)._new()  # hands the options to redis-py, which takes no others than its own
    return address, f"{address.shown} {address!r}"


@given(
    st.text() | st.builds("{}://{}".format, st.sampled_from(["redis", "rediss", "valkey", "unix"]), st.text())
)
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    parsed(text)


nasty = st.text(st.sampled_from("ab1:/?#@[]%&=. \\\tü℀"), max_size=6)
SECRET = "Qz7secret"


@given(
    st.sampled_from(["redis", "rediss", "valkeys", "unix", "http"]),
    st.sampled_from(["", "me"]),
    nasty,
    nasty,
    st.sampled_from(["h", "h:7000/2", "[::1]:1", "", "h:port", "h/x", "/run/s"]),
)
def test_a_password_is_never_shown(scheme: str, user: str, before: str, after: str, rest: str) -> None:
    url = f"{scheme}://{user}:{before}{SECRET}{after}@{rest}"
    assume(scheme != "unix" or "@/" not in url.partition(SECRET)[0])  # then it is the path of the socket
    _, shown = parsed(url)
    assert SECRET not in shown
    _, shown = parsed(f"{scheme}://{rest}?password={SECRET}")
    assert SECRET not in shown


def test_a_server_is_known_again_however_its_url_is_written() -> None:
    same = ["redis://localhost", "redis://:pw@127.0.0.1:6379/0", "valkey://u:p@LOCALHOST", "rediss://[::1]/"]
    assert len({Address.parse(url).identity for url in same}) == 1
    others = ["redis://localhost/1", "redis://localhost:6380", "redis://elsewhere", "unix:///tmp/s"]
    assert len({Address.parse(url).identity for url in [*same, *others]}) == 5
