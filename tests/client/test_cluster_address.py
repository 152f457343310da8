"""URLs that name a cluster by some of its nodes, and the addresses of its other nodes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.client.address import Address
from qwf_async.errors import UsageError


@pytest.mark.parametrize(
    ("url", "shown", "hosts"),
    [
        ("redis+cluster://h", "redis+cluster://h:6379", [("h", 6379)]),
        ("redis+cluster://", "redis+cluster://localhost:6379", [("localhost", 6379)]),
        ("valkey+cluster://a:1,b:2,c", "redis+cluster://a:1,b:2,c:6379", [("a", 1), ("b", 2), ("c", 6379)]),
        ("redis://a:1,b:2", "redis+cluster://a:1,b:2", [("a", 1), ("b", 2)]),
        (
            "redis+cluster://[::1]:1,[fe80::2]",
            "redis+cluster://[::1]:1,[fe80::2]:6379",
            [("::1", 1), ("fe80::2", 6379)],
        ),
        ("redis+cluster://me:p,w@a,b:2/0", "redis+cluster://me:***@a:6379,b:2", [("a", 6379), ("b", 2)]),
        ("redis+cluster://a,A,a:6379?password=pw", "redis+cluster://:***@a:6379", [("a", 6379)]),
        ("REDIS+CLUSTER://a", "redis+cluster://a:6379", [("a", 6379)]),
    ],
)
def test_a_url_names_a_cluster_by_some_of_its_nodes(
    url: str, shown: str, hosts: list[tuple[str, int]]
) -> None:
    address = Address.parse(url)
    assert address.is_cluster
    assert (address.shown, address.hosts) == (shown, tuple(hosts))
    assert address.options.get("host", "localhost") == hosts[0][0]
    for seed, (host, port) in zip(address.seeds, hosts, strict=True):
        assert not seed.is_cluster
        assert (seed.options["host"], seed.options["port"], seed.seeds) == (host, port, (seed,))
        assert seed.options.get("password") == address.options.get("password")


def test_one_host_or_a_socket_is_one_seed() -> None:
    for url in ("redis://h:1/3", "unix:///s", "rediss://u:p@h"):
        address = Address.parse(url)
        assert not address.is_cluster
        assert [seed.shown for seed in address.seeds] == [address.shown]
        assert address.seeds[0].identity == address.identity


def test_a_cluster_over_tls_keeps_it_at_each_node() -> None:
    address = Address.parse("valkeys+cluster://u:p@a,b?ssl_ca_certs=/ca.pem")
    assert address.shown == "rediss+cluster://u:***@a:6379,b:6379"
    for node in (*address.seeds, address.with_host("c", 1)):
        assert node.shown.startswith("rediss://u:***@")
        for option in ("ssl_ca_certs", "connection_class", "username", "password"):
            assert node.options[option] == address.options[option]


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://h/1", "redis://a,b/3", "redis+cluster://h?db=2", "redis://a,,b", "redis://a,", "redis://,a",
        "redis://a:x,b", "redis://a,b:99999", "redis://a,b/x", "unix+cluster:///s", "http+cluster://h", "redis+clusters://h",
        "redis+cluster://a,b@c/0/1", "redis+cluster://[::1],[::2", "redis+cluster+cluster://h", "redis+cluster://a b,c",
    ],
)  # fmt: skip
def test_a_cluster_url_that_makes_no_sense_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError):
        Address.parse(url)


def test_a_cluster_has_no_second_database() -> None:
    with pytest.raises(UsageError, match="a cluster has only the database 0: leave its number out"):
        Address.parse("redis+cluster://h/1")


def test_another_node_is_reached_as_the_same_user() -> None:
    for url in ("redis://me:pw@h:1", "unix://me:pw@/run/s", "redis+cluster://me:pw@h:1,g:2"):
        node = Address.parse(url).with_host("::2", 7000)
        assert node.shown == "redis://me:***@[::2]:7000"
        assert node.options == {"host": "::2", "port": 7000, "username": "me", "password": "pw"}
        assert node.hosts == (("::2", 7000),)


def test_another_node_may_be_behind_a_socket() -> None:
    for url in (
        "rediss://me:pw@h:1?ssl_ca_certs=/ca.pem",
        "unix://me:pw@/run/s",
        "redis+cluster://me:pw@h,g",
    ):
        node = Address.parse(url).with_path("/run/a b@c.sock")
        assert node.shown == "unix:///run/a b@c.sock"
        options: dict[str, Any] = dict(Address.parse("unix://me:pw@/run/a%20b%40c.sock").options)
        assert node.options == options
        assert node.is_local
        assert not node.is_cluster


def test_a_cluster_is_local_if_all_its_nodes_are() -> None:
    assert Address.parse("redis://localhost,127.0.0.1:2").is_local
    assert not Address.parse("redis://localhost,elsewhere").is_local


def test_a_cluster_is_known_by_the_first_of_its_nodes() -> None:
    same = ["redis+cluster://b,a:2", "redis://A:2,c", "rediss+cluster://u:p@c:1,a:2,b", "redis://a:2/0"]
    assert {Address.parse(url).identity for url in same} == {"redis://a:2/0"}
    assert Address.parse("redis+cluster://b,c").identity != "redis://a:2/0"
    assert Address.parse("redis://[::1]:5,x").identity == Address.parse("redis://127.0.0.1:5").identity


def test_the_command_line_client_follows_the_redirections_of_a_cluster() -> None:
    assert Address.parse("redis+cluster://u:p@h:1,g:2").cli_options == [
        "-h",
        "h",
        "-p",
        "1",
        "-c",
        "--user",
        "u",
    ]
    assert "-c" not in Address.parse("redis+cluster://h:1,g:2").seeds[0].cli_options


@given(
    st.text(st.sampled_from("ab1:/?#@[]%&=., \\\tü"), max_size=6),
    st.text(st.sampled_from("ab1:/?#@[]%&=., \\\tü"), max_size=6),
    st.sampled_from(["h,g", "h:1,[::1]:2", "h", "h,", "h:port,g", "h,g/0", "h,g/1"]),
)
def test_the_password_of_a_cluster_is_never_shown(before: str, after: str, rest: str) -> None:
    secret = "Qz7secret"
    for url in (f"redis+cluster://u:{before}{secret}{after}@{rest}", f"redis://{rest}?password={secret}"):
        assert secret not in everything_shown(url)


def everything_shown(url: str) -> str:
    """All texts of an address and of its nodes, or why it is refused."""
    try:
        address = Address.parse(url)
    except UsageError as error:
        return str(error)
    others = (*address.seeds, address.with_host("x", 1), address.with_path("/s"))
    return " ".join(f"{each.shown} {each!r} {each.identity}" for each in (address, *others))
