"""Which owner still holds its load: told by its host, its process, its deadline, and its own end."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

from qwf_async.catalog.owner import Owner


def start_of(pid: int) -> str:
    """Field 22 of its stat file (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def ended_process() -> Owner:
    """An owner whose process is gone, with a deadline that is far away."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        started = start_of(child.pid)
    return replace(Owner.here(), pid=child.pid, started=started, deadline=10**15)


def test_this_process_holds_until_its_deadline() -> None:
    owner = replace(Owner.here(), deadline=1000)
    assert owner.holds(999)
    assert not owner.holds(1000)


def test_a_process_of_this_host_that_is_gone_holds_nothing() -> None:
    owner = ended_process()
    assert not owner.holds(0)
    assert replace(owner, host="elsewhere").holds(0)
    assert replace(owner, boot="another boot").holds(0)
    assert not replace(owner, host="elsewhere").holds(10**15)


def test_a_process_that_has_the_pid_of_another_holds_nothing_of_it() -> None:
    assert not replace(Owner.here(), started="1", deadline=10**15).holds(0)


def test_a_process_that_was_killed_but_not_waited_for_holds_nothing() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        started = start_of(child.pid)
        owner = replace(Owner.here(), pid=child.pid, started=started, deadline=10**15)
        assert owner.holds(0)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not owner.holds(0)


def test_an_owner_comes_back_from_its_fields() -> None:
    owner = replace(Owner.here(), deadline=1234)
    assert Owner.from_fields(owner.to_fields() | {"owner_deadline": "1234"}) == owner


def test_every_load_has_a_token_of_its_own() -> None:
    assert Owner.here().token != Owner.here().token


def test_an_owner_holds_until_it_ends() -> None:
    one, other = (replace(Owner.here(), deadline=1000) for _ in range(2))
    one.end()
    assert (one.holds(0), other.holds(0)) == (False, True)
    assert replace(one, host="elsewhere").holds(0)
    assert replace(one, boot="").holds(0)
    other.end()
    assert not other.holds(0)
