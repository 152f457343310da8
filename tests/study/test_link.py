"""The link of studies to their server: over sockets of every kind, and through everything that happens to them."""

from __future__ import annotations

import os
import pickle
import time
from pathlib import Path

import pytest

from qwf_async.client.failure import WrongType
from qwf_async.errors import OutOfMemory, Refused, ServerUnavailable
from qwf_async.settings import Settings, load
from qwf_async.study.fitness import learn, refuse_eviction
from qwf_async.study.link import Server as Link
from tests.conftest import PATIENCE, Server
from tests.support.loads import ask

COUNT = "return redis.call('INCRBY', KEYS[1], ARGV[1])"


def test_commands_scripts_and_pipelines_have_replies_as_bytes(each_server: Server) -> None:
    link = Link.open(each_server.url)
    assert link.call("a", "SET", "a", b"\x00\xff") == b"OK"
    assert link.pipeline([("GET", "a"), ("STRLEN", "a")]) == [b"\x00\xff", 2]
    assert [link.eval(COUNT, [b"n"], [2]), link.eval(COUNT, [b"n"], [b"3"])] == [2, 5]
    ask(each_server, "SCRIPT", "FLUSH")
    assert link.eval(COUNT, [b"n"], [1]) == 6
    assert (link.counts.success, link.counts.opened) == (1, 1)
    link.close()


def test_an_error_is_final_where_it_cannot_be_mended(own_server: Server) -> None:
    link = Link.open(own_server.url)
    link.call("l", "RPUSH", "l", 1)
    with pytest.raises(WrongType, match="key of another type"):
        link.call("l", "GET", "l")
    ask(own_server, "CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(OutOfMemory):
        link.call("l", "RPUSH", "l", 1)
    assert link.counts.opened == 1
    link.close()


def test_a_killed_connection_is_replaced_without_a_word(each_server: Server) -> None:
    link = Link.open(each_server.url)
    link.call("a", "PING")
    ask(each_server, "CLIENT", "KILL", "SKIPME", "yes")
    assert link.call("a", "PING") == b"PONG"
    assert (link.counts.opened, link.counts.lost) == (2, 1)
    link.close()


def test_a_server_that_stands_still_is_unavailable_after_a_while_and_then_back(own_server: Server) -> None:
    link = Link.open(own_server.url, after=0.2)
    link.call("a", "SET", "a", 1)
    own_server.stop()
    with pytest.raises(ServerUnavailable, match="no answer in time"):
        link.call("a", "GET", "a")
    own_server.go_on()
    assert link.call("a", "GET", "a", deadline=time.monotonic() + PATIENCE) == b"1"
    link.close()


def test_a_server_need_not_be_there_when_its_link_is_opened(own_server: Server) -> None:
    own_server.kill()
    link = Link.open(own_server.url, after=0.05)
    with pytest.raises(ServerUnavailable, match="nothing listens there"):
        link.call("a", "PING")
    own_server.start()
    assert link.call("a", "PING") == b"PONG"
    link.close()


def test_a_child_has_a_connection_of_its_own(server: Server) -> None:
    link = Link.open(server.url)
    link.call("n", "SET", "n", 1)
    child = os.fork()
    if not child:
        os._exit(0 if link.call("n", "INCR", "n") == 2 and link.counts.opened == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (link.call("n", "GET", "n"), link.counts.opened) == (b"2", 1)
    link.close()


def test_a_pickled_link_connects_anew(server: Server) -> None:
    link = Link.open(server.url, settings=Settings(prefix="lab"), after=0.7)
    link.call("a", "SET", "a", 1)
    other = pickle.loads(pickle.dumps(link))  # noqa: S301 # our own
    assert other.call("a", "GET", "a") == b"1"
    assert (other.prefix, other.after, other.shown) == ("lab", 0.7, link.shown)
    link.close()
    other.close()


def test_a_user_and_a_password_file_let_us_in_and_a_missing_right_is_named(
    own_server: Server, tmp_path: Path
) -> None:
    ask(own_server, "ACL", "SETUSER", "lab", "on", ">pass word", "~qwf:*", "+ping", "+get", "+info")
    (tmp_path / "secret").write_text("pass word\n")
    settings = load(environ={"QWF_PASSWORD_FILE": str(tmp_path / "secret")})
    link = Link.open(own_server.url.replace("unix://", "unix://lab@"), settings=settings)
    assert link.call("qwf:a", "GET", "qwf:a") is None
    with pytest.raises(Refused, match="lacks a permission"):
        link.call("a", "GET", "a")
    with pytest.raises(Refused, match="does not accept this user name and password"):
        Link.open(own_server.url.replace("unix://", "unix://lab:wrong@")).call("a", "PING")
    link.close()


def test_a_server_that_evicts_studies_is_refused(own_server: Server) -> None:
    link = Link.open(own_server.url)
    refuse_eviction(link)
    assert [facts.durability for facts in learn(link)] == ["memory"]
    ask(own_server, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(OutOfMemory, match="evicts whole studies"):
        refuse_eviction(link)
    link.close()
