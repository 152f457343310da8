"""Servers without EVAL: nothing is left there, and the message names the right that is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.errors import Refused
from qwf_async.ingesting.estimation import estimate
from tests.conftest import Server, new_server
from tests.support.command import Shell
from tests.support.loads import ask, wave

PSI = wave(1, 4, 4, 4)
WAYS = ["renamed", "acl"]


@pytest.fixture(params=WAYS)
def bare(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that holds a wavefunction `there`, on which EVAL was then forbidden, in each way that exists."""
    for server in new_server("redis", appendonly="yes", appendfsync="always"):
        anyio.run(_stored, server)
        if request.param == "acl":
            ask(server, "ACL", "SETUSER", "default", "-eval")
        else:
            server.kill()
            (server.directory / "without").write_text('rename-command EVAL ""\n')
            server.options["include"] = str(server.directory / "without")
            server.start()
        yield server


async def _stored(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "there")


def check_message(text: str) -> None:
    assert "eval" in text.lower()
    assert "redis.call" not in text
    assert "#!lua" not in text
    assert "unknown command EVAL" in text or "lacks a permission" in text


@pytest.mark.anyio
async def test_python_is_refused_and_nothing_is_left(bare: Server) -> None:
    held = bare.contents()
    async with qwf_async.connect(bare.url) as store:
        psi = await store.open("there")
        assert np.array_equal(await psi.read[...], PSI)

        async def refused(doing: Any) -> None:
            with pytest.raises(Refused) as raised:
                await doing
            check_message(str(raised.value))

        await refused(qwf_async.ingest(sources.array(PSI), store, "new"))
        await refused(qwf_async.ingest(sources.array(2 * PSI), store, "there", overwrite=True))
        await refused(psi.update(0, 0, 0, value=1))
        await refused(store.remove("there"))
        await refused(estimate(sources.array(PSI), store))
    assert bare.contents() == held


def test_the_command_line_is_refused_and_nothing_is_left(bare: Server, tmp_path: Path) -> None:
    held = bare.contents()
    np.save(tmp_path / "psi.npy", PSI)
    shell = Shell.at(tmp_path, QWF_URL=bare.url)
    lines = [
        ["ingest", "psi.npy", "--name", "new"],
        ["ingest", "psi.npy", "--name", "new", "--layout", "packed"],
        ["set", "there", "0", "0", "0", "--value", "1,0"],
        ["rm", "there"],
    ]
    for line, outcome in zip(lines, shell.several([(line, {}) for line in lines]), strict=True):
        assert outcome.status == 8, (line, outcome.err)
        check_message(outcome.err)
    assert bare.contents() == held


@pytest.mark.anyio
async def test_a_right_that_a_script_lacks_is_a_permission(each_own_server: Server) -> None:
    await _stored(each_own_server)
    ask(each_own_server, "ACL", "SETUSER", "default", "-hset")
    async with qwf_async.connect(each_own_server.url) as store:
        with pytest.raises(Refused, match="lacks a permission"):
            await store.remove("there")
